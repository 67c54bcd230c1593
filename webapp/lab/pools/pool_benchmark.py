"""The same small work on each pool: threads check out a connection, run a short query, and check its result."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from textwrap import shorten

from sqlalchemy import Connection, Engine, event, text

from poolproof.lab.connection_monitor import POLL_INTERVAL, ConnectionMonitor
from webapp.lab.pools.pool_types import READ_TIMEOUT, PoolOptions, PoolType

UNITS_PER_REQUEST = 3
MAX_DURATION = 15.0
"""Seconds after which the work on a pool is stopped."""
MAX_MESSAGE_LENGTH = 200
# The result contains the thread's token: where a connection is shared, it may reach another thread.
ECHO_QUERY = text("SELECT :token, SLEEP(:seconds)")


@dataclass(frozen=True)
class BenchmarkTask:
    """The work; `seconds` is how long the server takes for one query."""

    threads: int
    requests: int
    """Of each thread, with three units each: check out, query, return."""
    seconds: float


@dataclass
class BenchmarkResult:
    """The figures of one pool; times in seconds."""

    pool_type: PoolType
    seconds: float = 0.0
    units: int = 0
    waits: list[float] = field(default_factory=list)
    """Of each checkout, until it had a connection."""
    finished_after: list[float] = field(default_factory=list)
    """Of each thread."""
    connects: int = 0
    peak_connections: int = 0
    """Connections on the server."""
    connection_counts: Sequence[tuple[float, int]] = ()
    """Connections on the server over time."""
    errors: dict[str, int] = field(default_factory=dict)
    wrong_answers: int = 0
    """Results that belong to the query of another thread."""
    timed_out: bool = False
    """Whether the work was stopped before all of it was done."""

    @property
    def failed(self) -> int:
        """Units that ended in an error."""
        return sum(self.errors.values())

    @property
    def most_frequent_error(self) -> str:
        """The most frequent error, or an empty text."""
        return max(self.errors, key=lambda message: self.errors[message], default="")


class WrongAnswerError(Exception):
    """The result belongs to the query of another thread."""


def run_benchmark(
    pool_type: PoolType, database_url: str, task: BenchmarkTask, monitor: ConnectionMonitor
) -> BenchmarkResult:
    """Do the task on one pool; errors are counted."""
    result = BenchmarkResult(pool_type)
    engine = pool_type.create(database_url, PoolOptions(task.threads))
    _count_connects(engine, result)
    lock, start = threading.Lock(), threading.Barrier(task.threads + 1)

    def run_thread(number: int) -> None:
        worker = _BenchmarkThread(engine, task, number)
        start.wait()
        started_at = time.monotonic()
        worker.run(started_at + MAX_DURATION, per_request=pool_type.per_request)
        with lock:
            worker.add_to(result, time.monotonic() - started_at)

    threads = [threading.Thread(target=run_thread, args=(number,)) for number in range(task.threads)]
    for thread in threads:
        thread.start()
    with monitor.sample_counts() as counts:
        started_at = time.monotonic()
        start.wait()
        _join_threads(threads, monitor, started_at + MAX_DURATION + READ_TIMEOUT)
        result.seconds = time.monotonic() - started_at
    result.connection_counts, result.peak_connections = counts, max((count for _, count in counts), default=0)
    with suppress(Exception):
        # A connection that was shared may fail to close.
        engine.dispose()
    monitor.kill_all()
    return result


def _join_threads(threads: Sequence[threading.Thread], monitor: ConnectionMonitor, deadline: float) -> None:
    """Wait until the threads end; at the deadline kill the connections of those that wait for a lost response."""
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
    """The work of one thread; other threads read it only after that thread has ended."""

    def __init__(self, engine: Engine, task: BenchmarkTask, number: int) -> None:
        self._engine, self._task, self._number = engine, task, number
        self._query_count = self._completed_units = self._wrong_answers = 0
        self._waits: list[float] = []
        self._errors: dict[str, int] = {}
        self._timed_out = False

    def run(self, deadline: float, *, per_request: bool) -> None:
        """Make all requests until the deadline, each with one checkout or with one for each unit."""
        checkouts = 1 if per_request else UNITS_PER_REQUEST
        for _ in range(self._task.requests * checkouts):
            try:
                self._use_connection(UNITS_PER_REQUEST // checkouts)
            except Exception as error:  # noqa: BLE001 - what a full pool says is what is asked
                self._wrong_answers += isinstance(error, WrongAnswerError)
                message = summarize_error(error)
                self._errors[message] = self._errors.get(message, 0) + 1
            if time.monotonic() > deadline:
                self._timed_out = True
                return

    def _use_connection(self, units: int) -> None:
        started_at = time.monotonic()
        with self._engine.connect() as connection:
            self._waits.append(time.monotonic() - started_at)
            for _ in range(units):
                self._run_query(connection)

    def _run_query(self, connection: Connection) -> None:
        self._query_count += 1
        token = self._number * 1_000_000 + self._query_count
        row = connection.execute(ECHO_QUERY, {"token": token, "seconds": self._task.seconds}).one()
        if int(row[0]) != token:
            raise WrongAnswerError("the result belongs to another thread's query")
        self._completed_units += 1

    def add_to(self, result: BenchmarkResult, seconds: float) -> None:
        """Add this thread's figures to the result."""
        result.units += self._completed_units
        result.waits += self._waits
        result.wrong_answers += self._wrong_answers
        result.finished_after.append(seconds)
        result.timed_out |= self._timed_out
        for message, count in self._errors.items():
            result.errors[message] = result.errors.get(message, 0) + count


def summarize_error(error: BaseException) -> str:
    """Return the name and the first line of an error: of the driver's own error where there is one."""
    cause = getattr(error, "orig", None) or error
    line = (str(cause).strip().splitlines() or [""])[0].partition(" (Background on")[0]
    return shorten(f"{type(cause).__name__}: {line}".removesuffix(": "), MAX_MESSAGE_LENGTH, placeholder=" …")
