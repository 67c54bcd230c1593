"""Runs a workload on our pool in a process of its own: threads that share one engine with a pool of a given size."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import random
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection as Pipe

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from poolproof.lab.loadgen.load_profile import LoadProfile, TimedOperation, poisson_arrivals
from poolproof.lab.sizing.measured_engine import WorkOnEngine, open_setup_work, open_work
from poolproof.lab.sizing.measurements import Setting
from poolproof.lab.sizing.workload import Operation, Workload
from poolproof.lab.values import Value
from poolproof.settings import PoolSettings

DRAIN_TIMEOUT = 3.0
"""Seconds after the end of an open loop at which operations that have not begun count as failed."""
START_DELAY = 0.2


@dataclass(frozen=True)
class RunRequest:
    """A run that the process is asked for."""

    setting: Setting
    load: LoadProfile
    starts_at: float
    """On the machine's monotonic clock."""


class WorkloadProcess:
    """The sweep's end of the process."""

    def __init__(self, url: str, workload: Workload, pool: PoolSettings | None) -> None:
        """Start it; it creates the workload's tables. It ends when this end of the pipe is closed.

        `pool` are the service's settings; None: the engine is made as an application makes it.
        """
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve_runs, args=(theirs, url, workload, pool), daemon=True)
        self._process.start()
        theirs.close()
        self._receive()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid or 0

    def start_run(self, setting: Setting, load: LoadProfile) -> float:
        """Request a run; return when it starts, on the monotonic clock."""
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
        message: list[TimedOperation] | str = self._pipe.recv()
        if isinstance(message, str):
            raise WorkloadRunError(message)
        return message


class WorkloadRunError(Exception):
    """The workload could not be run; the text says why."""


def serve_runs(pipe: Pipe, url: str, workload: Workload, pool: PoolSettings | None) -> None:
    """Create the tables, then execute the requested runs until the other end of the pipe is closed."""
    # Ctrl-C reaches the whole process group; the sweep's own process decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, BrokenPipeError):
        _send_result(pipe, lambda: create_tables(url, workload, pool))
        while True:
            request = pipe.recv()
            _send_result(pipe, partial(run_workload, url, workload, pool, request))


def _send_result(pipe: Pipe, task: Callable[[], list[TimedOperation]]) -> None:
    try:
        pipe.send(task())
    except SQLAlchemyError as error:
        pipe.send(f"{error.__class__.__name__}: {getattr(error, 'orig', None) or error}")


def create_tables(url: str, workload: Workload, pool: PoolSettings | None) -> list[TimedOperation]:
    """Execute the statements of `setup`; return no operations."""
    if not workload.setup:
        return []
    with open_setup_work(url, pool) as work, work.autocommit() as connection:
        for statement in workload.setup:
            connection.execute(text(statement))
    return []


def run_workload(url: str, workload: Workload, pool: PoolSettings | None, request: RunRequest) -> list[TimedOperation]:
    """Run the workload once; return all operations, also those of the warm-up."""
    with open_work(url, pool, request.setting.pool) as work:
        _fill_pool(work, request.setting.pool)
        run = _WorkloadRun(work, workload, request)
        threads = [threading.Thread(target=run.run_thread, args=(n,)) for n in range(request.setting.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return run.collect()


def _fill_pool(work: WorkOnEngine, size: int) -> None:
    # Open all connections before anything is timed, as in a worker that has served for a while.
    with contextlib.ExitStack() as stack:
        for _ in range(size):
            stack.enter_context(work.read())


class _WorkloadRun:
    """What the threads of one run share."""

    def __init__(self, work: WorkOnEngine, workload: Workload, request: RunRequest) -> None:
        self._work = work
        self._operations = workload.operation
        self._weights = [operation.weight for operation in workload.operation]
        self._load = request.load
        seconds = request.load.warm_up + request.load.seconds
        self._starts_at = request.starts_at
        self._ends_at = request.starts_at + seconds
        rng = random.Random(request.load.seed)
        rate = request.load.rate
        self._arrivals = [] if rate is None else poisson_arrivals(rng, rate or 1.0, seconds, request.starts_at)
        self._next_arrival = itertools.count()
        self._completed: set[int] = set()
        self._timings: list[TimedOperation] = []

    def run_thread(self, number: int) -> None:
        """Execute operations until the run ends; the work of one thread."""
        rng = random.Random(self._load.seed * 1000 + number)
        time.sleep(max(0.0, self._starts_at - time.monotonic()))
        if self._load.is_open:
            self._run_open_loop(rng)
        else:
            self._run_closed_loop(rng)

    def collect(self) -> list[TimedOperation]:
        """Return all operations; those that were never begun, because the queue only grew, have failed."""
        now = time.monotonic()
        missed = [start for number, start in enumerate(self._arrivals) if number not in self._completed]
        return self._timings + [TimedOperation(start, now - start, succeeded=False) for start in missed]

    def _run_closed_loop(self, rng: random.Random) -> None:
        while time.monotonic() < self._ends_at:
            operation = rng.choices(self._operations, self._weights)[0]
            if operation.think:
                time.sleep(operation.think)
            self._timings.append(self._time_operation(operation, time.monotonic(), rng))

    def _run_open_loop(self, rng: random.Random) -> None:
        for number in self._next_arrival:
            if number >= len(self._arrivals) or time.monotonic() > self._ends_at + DRAIN_TIMEOUT:
                return
            intended_start = self._arrivals[number]
            time.sleep(max(0.0, intended_start - time.monotonic()))
            operation = rng.choices(self._operations, self._weights)[0]
            self._timings.append(self._time_operation(operation, intended_start, rng))
            self._completed.add(number)

    def _time_operation(self, operation: Operation, intended_start: float, rng: random.Random) -> TimedOperation:
        started_at = time.monotonic()
        parameters = operation.draw_parameters(rng)
        try:
            connected_at = self._execute(operation, parameters)
        except SQLAlchemyError:
            return TimedOperation(intended_start, time.monotonic() - intended_start, succeeded=False)
        ended_at = time.monotonic()
        return TimedOperation(
            intended_start,
            ended_at - intended_start,
            connected_at - started_at,
            ended_at - connected_at,
            operation.think,
        )

    def _execute(self, operation: Operation, parameters: Sequence[Mapping[str, Value]]) -> float:
        """Execute the operation; return when it had a connection."""
        connected_at: list[float] = []

        def run(connection: Connection) -> None:
            connected_at.append(time.monotonic())
            for statement, values in zip(operation.statements, parameters, strict=True):
                result = connection.execute(text(statement), values)
                if result.returns_rows:
                    result.fetchall()
            _burn_cpu(operation.cpu)
            if operation.hold:
                time.sleep(operation.hold)

        if operation.reads:
            with self._work.read() as connection:
                run(connection)
        else:
            self._work.run_in_transaction(run)
        return connected_at[0]


def _burn_cpu(seconds: float) -> None:
    ends_at = time.thread_time() + seconds
    while time.thread_time() < ends_at:
        sum(range(200))
