"""A workload on our pool, in a process of its own: threads that share one engine with a pool of so many connections."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection as Pipe

from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from poolproof.engine import configure_engine, engine_options
from poolproof.settings import PoolSettings, with_size
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.lab.sizing.measurements import LoadProfile, Setting, TimedOperation
from webapp.lab.sizing.workload import Operation, Workload

CHECKOUT_TIMEOUT = 60.0
"""Seconds that an operation waits for a connection: how many are served is asked, not how many are turned away."""
DRAIN_TIMEOUT = 3.0
"""So many seconds after the end of an open loop what is still waiting is given up, and counts as it stands."""
START_DELAY = 0.2


@dataclass(frozen=True)
class RunRequest:
    """One run."""

    setting: Setting
    load: LoadProfile
    starts_at: float
    """On the machine's monotonic clock."""


class WorkloadProcess:
    """The process, as the sweep sees it."""

    def __init__(self, url: str, workload: Workload, pool: PoolSettings) -> None:
        """Start it; it makes the workload's tables. It ends when this end of the pipe is closed."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve_runs, args=(theirs, url, workload, pool), daemon=True)
        self._process.start()
        theirs.close()
        self._receive()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid or 0

    def start_run(self, setting: Setting, load: LoadProfile) -> float:
        """Order a run; return when it starts, on the monotonic clock."""
        starts_at = time.monotonic() + START_DELAY
        self._pipe.send(RunRequest(setting, load, starts_at))
        return starts_at

    def wait_result(self) -> list[TimedOperation]:
        """Wait for the run's end and return what was measured."""
        return self._receive()

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(2 * DRAIN_TIMEOUT)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()

    def _receive(self) -> list[TimedOperation]:
        found = self._pipe.recv()
        if isinstance(found, str):
            raise WorkloadRunError(found)
        timed: list[TimedOperation] = found
        return timed


class WorkloadRunError(Exception):
    """The workload could not be run; the text says why."""


def serve_runs(pipe: Pipe, url: str, workload: Workload, pool: PoolSettings) -> None:
    """Make the tables, then run what is ordered until nobody is there any more."""
    # Ctrl-C goes to the whole group: the sweep decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, BrokenPipeError):
        _send_result(pipe, lambda: _set_up(url, workload, pool))
        while True:
            order = pipe.recv()
            _send_result(pipe, partial(run_workload, url, workload, pool, order))


def _send_result(pipe: Pipe, task: Callable[[], list[TimedOperation]]) -> None:
    try:
        pipe.send(task())
    except SQLAlchemyError as error:
        pipe.send(f"{error.__class__.__name__}: {getattr(error, 'orig', None) or error}")


def _set_up(url: str, workload: Workload, pool: PoolSettings) -> list[TimedOperation]:
    with _unit_of_work(url, pool, 1) as work, work.autocommit() as connection:
        for statement in workload.setup:
            connection.execute(text(statement))
    return []


@contextlib.contextmanager
def _unit_of_work(url: str, pool: PoolSettings, size: int) -> Iterator[UnitOfWork]:
    settings = replace(
        with_size(pool, size),
        timeout=CHECKOUT_TIMEOUT,
        request_deadline=CHECKOUT_TIMEOUT,
        max_connections_per_request=size,
        codel_target=0.0,
        max_waiting=None,
        pool_class="queue",
    )
    engine = create_engine(url, **engine_options(settings, make_url(url), size))
    configure_engine(engine, settings, "lab")
    try:
        yield UnitOfWork(engine)
    finally:
        engine.dispose()


def run_workload(url: str, workload: Workload, pool: PoolSettings, request: RunRequest) -> list[TimedOperation]:
    """Run the workload once; return all operations, those of the warm-up too."""
    with _unit_of_work(url, pool, request.setting.pool) as work:
        _fill_pool(work, request.setting.pool)
        one = _WorkloadRun(work, workload, request)
        threads = [threading.Thread(target=one.run_thread, args=(n,)) for n in range(request.setting.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return one.collect()


def _fill_pool(work: UnitOfWork, size: int) -> None:
    # The pool is opened before anything is timed, as that of a worker that serves for a while.
    with contextlib.ExitStack() as stack:
        for _ in range(size):
            stack.enter_context(work.read())


class _WorkloadRun:
    """What the threads of one run share."""

    def __init__(self, work: UnitOfWork, workload: Workload, request: RunRequest) -> None:
        self._work = work
        self._operations = workload.operation
        self._weights = [one.weight for one in workload.operation]
        self._load = request.load
        self._ends_at = request.starts_at + request.load.warm_up + request.load.seconds
        self._starts_at = request.starts_at
        self._arrivals = _draw_arrivals(request) if request.load.is_open else []
        self._next_arrival = itertools.count()
        self._completed: set[int] = set()
        self._timings: list[TimedOperation] = []

    def run_thread(self, number: int) -> None:
        """Be one thread."""
        draw = random.Random(self._load.seed * 1000 + number)
        time.sleep(max(0.0, self._starts_at - time.monotonic()))
        if self._load.is_open:
            self._run_open_loop(draw)
        else:
            self._run_closed_loop(draw)

    def collect(self) -> list[TimedOperation]:
        """Return what was done, and the arrivals that were never begun, as they stand: a queue that only grows."""
        now = time.monotonic()
        left = [meant for at, meant in enumerate(self._arrivals) if at not in self._completed]
        return self._timings + [TimedOperation(meant, now - meant, succeeded=False) for meant in left]

    def _run_closed_loop(self, rng: random.Random) -> None:
        while time.monotonic() < self._ends_at:
            operation = rng.choices(self._operations, self._weights)[0]
            time.sleep(operation.think) if operation.think else None
            self._timings.append(self._time_operation(operation, time.monotonic(), rng))

    def _run_open_loop(self, rng: random.Random) -> None:
        for at in self._next_arrival:
            if at >= len(self._arrivals) or time.monotonic() > self._ends_at + DRAIN_TIMEOUT:
                return
            meant = self._arrivals[at]
            time.sleep(max(0.0, meant - time.monotonic()))
            self._timings.append(self._time_operation(rng.choices(self._operations, self._weights)[0], meant, rng))
            self._completed.add(at)

    def _time_operation(self, operation: Operation, intended_start: float, rng: random.Random) -> TimedOperation:
        began = time.monotonic()
        row = rng.randint(1, operation.rows)
        try:
            taken = self._execute(operation, row)
        except SQLAlchemyError:
            return TimedOperation(intended_start, time.monotonic() - intended_start, succeeded=False)
        ended = time.monotonic()
        return TimedOperation(intended_start, ended - intended_start, taken - began, ended - taken, operation.think)

    def _execute(self, operation: Operation, row: int) -> float:
        """Do it; return when the connection was there."""
        taken: list[float] = []

        def deed(connection: Connection) -> None:
            taken.append(time.monotonic())
            for statement in operation.statements:
                result = connection.execute(text(statement), {"row": row} if ":row" in statement else {})
                if result.returns_rows:
                    result.fetchall()
            _burn_cpu(operation.cpu)
            if operation.hold:
                time.sleep(operation.hold)

        if operation.reads:
            with self._work.read() as connection:
                deed(connection)
        else:
            self._work.run_in_transaction(deed)
        return taken[0]


def _burn_cpu(seconds: float) -> None:
    ends_at = time.thread_time() + seconds
    while time.thread_time() < ends_at:
        sum(range(200))


def _draw_arrivals(request: RunRequest) -> list[float]:
    """Return the moments at which operations are meant to begin: independent of each other, as people's are."""
    draw = random.Random(request.load.seed)
    rate, at = request.load.rate or 1.0, request.starts_at
    until = at + request.load.warm_up + request.load.seconds
    moments = []
    while (at := at + draw.expovariate(rate)) < until:
        moments.append(at)
    return moments
