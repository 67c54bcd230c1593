"""Threads that ask one pool for connections again and again, and what became of each request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from poolproof.adoption.engines import adopt

QUERY = text("SELECT 1")


class PoolKind(StrEnum):
    """Whose pool it is."""

    STOCK = "SQLAlchemy's QueuePool"
    FAIR = "poolproof's pool"


@dataclass(frozen=True)
class RushOptions:
    """What the threads do; times are in seconds."""

    url: str
    threads: int
    pool_size: int
    max_overflow: int
    pool_timeout: float
    hold: float
    """For which a request holds its connection, as one does that renders a page meanwhile."""
    seconds: float


@dataclass(frozen=True)
class RushRequest:
    """One request; times are seconds from the beginning of the rush."""

    thread: int
    started_at: float
    wait: float
    """For a connection, or until the time-out."""
    ended_at: float
    error: str = ""
    """Its kind; empty when it was served."""
    message: str = ""


def make_engine(kind: PoolKind, options: RushOptions) -> Engine:
    """Return an engine as an application makes it; adopted, where the fair pool is asked for."""
    engine = create_engine(
        options.url,
        pool_size=options.pool_size,
        max_overflow=options.max_overflow,
        pool_timeout=options.pool_timeout,
    )
    return adopt(engine, f"rush-{id(engine)}") if kind is PoolKind.FAIR else engine


def run_rush(
    kind: PoolKind, options: RushOptions, on_progress: Callable[[float], None] = lambda _: None
) -> list[RushRequest]:
    """Let all threads begin at once, and return what became of their requests; Ctrl-C ends it early."""
    engine = make_engine(kind, options)
    rush = _Rush(engine, options)
    threads = [threading.Thread(target=rush.run_thread, args=(number,)) for number in range(options.threads)]
    try:
        for thread in threads:
            thread.start()
        while (left := options.seconds - rush.elapsed()) > 0:
            on_progress(left)
            time.sleep(min(left, 0.2))
    finally:
        rush.stop()
        for thread in threads:
            thread.join()
        engine.dispose()
    return rush.collect()


def jain_index(served: Sequence[int]) -> float:
    """Return Jain's index of fairness: 1 when all got the same, 1/n when one got all."""
    squares = sum(count * count for count in served)
    return sum(served) ** 2 / (len(served) * squares) if squares else 0.0


class _Rush:
    """What the threads share."""

    def __init__(self, engine: Engine, options: RushOptions) -> None:
        self._engine, self._options = engine, options
        self._started_at = time.monotonic()
        self._stopped = threading.Event()
        self._requests: list[list[RushRequest]] = [[] for _ in range(options.threads)]

    def elapsed(self) -> float:
        """Return the seconds since the beginning."""
        return time.monotonic() - self._started_at

    def stop(self) -> None:
        """Let no thread begin another request."""
        self._stopped.set()

    def collect(self) -> list[RushRequest]:
        """Return all requests in the order in which they ended."""
        requests = [request for own in self._requests for request in own]
        return sorted(requests, key=lambda request: request.ended_at)

    def run_thread(self, number: int) -> None:
        """Make requests until it is stopped; the work of one thread."""
        while not self._stopped.is_set():
            self._requests[number].append(self._make_request(number))

    def _make_request(self, number: int) -> RushRequest:
        started_at = self.elapsed()
        wait = None
        error = message = ""
        try:
            with self._engine.connect() as connection:
                wait = self.elapsed() - started_at
                connection.execute(QUERY).scalar_one()
                time.sleep(self._options.hold)
        except PoolTimeoutError as failure:
            error, message = "no connection in time", str(failure)
        except SQLAlchemyError as failure:
            reason = getattr(failure, "orig", None) or failure
            error, message = type(reason).__name__, str(reason)
        ended_at = self.elapsed()
        return RushRequest(
            number, started_at, ended_at - started_at if wait is None else wait, ended_at, error, message
        )
