"""The same small work done in each way: threads that borrow, ask a short question, check the answer, and give back."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from textwrap import shorten

from sqlalchemy import Connection, Engine, event, text

from webapp.lab.pools.pool_types import READ_TIMEOUT, PoolOptions, PoolType
from webapp.lab.services.connection_monitor import POLL_INTERVAL, ConnectionMonitor

UNITS_PER_REQUEST = 3
MAX_DURATION = 15.0
"""Seconds, after which a way is stopped."""
MAX_MESSAGE_LENGTH = 200
# The answer says who has asked: where a connection is shared, it may reach somebody else.
ECHO_QUERY = text("SELECT :token, SLEEP(:seconds)")


@dataclass(frozen=True)
class BenchmarkTask:
    """How much is to be done; `seconds` is how long the server takes for one answer."""

    threads: int
    requests: int
    """Of each thread; each has three units: borrow, ask, give back."""
    seconds: float


@dataclass
class BenchmarkResult:
    """What became of it in one way; times in seconds."""

    pool_type: PoolType
    seconds: float = 0.0
    units: int = 0
    waits: list[float] = field(default_factory=list)
    """Until a connection was there, for each borrowing."""
    finished_after: list[float] = field(default_factory=list)
    """Each thread's end."""
    connects: int = 0
    peak_connections: int = 0
    """Connections on the server."""
    connection_counts: Sequence[tuple[float, int]] = ()
    """Connections on the server over time."""
    errors: dict[str, int] = field(default_factory=dict)
    wrong_answers: int = 0
    """Answers to somebody else's question."""
    timed_out: bool = False
    """Whether there was not time for all of it."""

    @property
    def failed(self) -> int:
        """Units that ended in an error."""
        return sum(self.errors.values())

    @property
    def most_frequent_error(self) -> str:
        """The most frequent error, or an empty text."""
        return max(self.errors, key=lambda words: self.errors[words], default="")


class WrongAnswerError(Exception):
    """The answer belongs to another thread's question."""


def run_benchmark(
    pool_type: PoolType, database_url: str, task: BenchmarkTask, monitor: ConnectionMonitor
) -> BenchmarkResult:
    """Do the task in one way; whatever goes wrong is counted."""
    done = BenchmarkResult(pool_type)
    engine = pool_type.create(database_url, PoolOptions(task.threads))
    _count_connects(engine, done)
    lock, start = threading.Lock(), threading.Barrier(task.threads + 1)

    def act(number: int) -> None:
        own = _BenchmarkThread(engine, task, number)
        start.wait()
        began = time.monotonic()
        own.run(began + MAX_DURATION, per_request=pool_type.per_request)
        with lock:
            own.add_to(done, time.monotonic() - began)

    threads = [threading.Thread(target=act, args=(number,)) for number in range(task.threads)]
    for thread in threads:
        thread.start()
    with monitor.sample_counts() as course:
        began = time.monotonic()
        start.wait()
        _join_threads(threads, monitor, began + MAX_DURATION + READ_TIMEOUT)
        done.seconds = time.monotonic() - began
    done.connection_counts, done.peak_connections = course, max((count for _, count in course), default=0)
    with suppress(Exception):
        # A connection that was shared may not be closed in order any more.
        engine.dispose()
    monitor.kill_all()
    return done


def _join_threads(threads: Sequence[threading.Thread], monitor: ConnectionMonitor, deadline: float) -> None:
    """Wait for their ends; wake whoever still waits then for an answer that somebody else has read."""
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    while any(thread.is_alive() for thread in threads):
        monitor.kill_all()
        for thread in threads:
            thread.join(POLL_INTERVAL)


def _count_connects(engine: Engine, result: BenchmarkResult) -> None:
    @event.listens_for(engine, "connect")
    def count(dbapi_connection: object, record: object) -> None:
        result.connects += 1


class _BenchmarkThread:
    """One thread's part; nobody else looks at it before it has ended."""

    def __init__(self, engine: Engine, task: BenchmarkTask, number: int) -> None:
        self._engine, self._task, self._number = engine, task, number
        self._query_count = self._completed_units = self._wrong_answers = 0
        self._waits: list[float] = []
        self._errors: dict[str, int] = {}
        self._timed_out = False

    def run(self, deadline: float, *, per_request: bool) -> None:
        """Do all requests, each on one connection or on one borrowed for each unit, or as many as there is time for."""
        borrowings = 1 if per_request else UNITS_PER_REQUEST
        for _ in range(self._task.requests * borrowings):
            try:
                self._use_connection(UNITS_PER_REQUEST // borrowings)
            except Exception as error:  # noqa: BLE001 - which errors a way has is what is asked
                self._wrong_answers += isinstance(error, WrongAnswerError)
                words = summarize_error(error)
                self._errors[words] = self._errors.get(words, 0) + 1
            if time.monotonic() > deadline:
                self._timed_out = True
                return

    def _use_connection(self, units: int) -> None:
        asked = time.monotonic()
        with self._engine.connect() as connection:
            self._waits.append(time.monotonic() - asked)
            for _ in range(units):
                self._run_query(connection)

    def _run_query(self, connection: Connection) -> None:
        self._query_count += 1
        token = self._number * 1_000_000 + self._query_count
        answer = connection.execute(ECHO_QUERY, {"token": token, "seconds": self._task.seconds}).one()
        if int(answer[0]) != token:
            raise WrongAnswerError("the answer belongs to another thread's question")
        self._completed_units += 1

    def add_to(self, result: BenchmarkResult, seconds: float) -> None:
        """Add this thread's part to the whole."""
        result.units += self._completed_units
        result.waits += self._waits
        result.wrong_answers += self._wrong_answers
        result.finished_after.append(seconds)
        result.timed_out |= self._timed_out
        for words, count in self._errors.items():
            result.errors[words] = result.errors.get(words, 0) + count


def summarize_error(error: BaseException) -> str:
    """Return the name and the first line of an error, of the driver's where there is one."""
    cause = getattr(error, "orig", None) or error
    line = (str(cause).strip().splitlines() or [""])[0].partition(" (Background on")[0]
    return shorten(f"{type(cause).__name__}: {line}".removesuffix(": "), MAX_MESSAGE_LENGTH, placeholder=" …")
