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
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection as Pipe

from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from webapp.lab.figures import Load, Setting, Timed
from webapp.lab.workload import Operation, Workload
from webapp.pooling.engine import engine_options, prepare_engine
from webapp.pooling.settings import PoolSettings
from webapp.pooling.work import Work

PATIENCE = 60.0
"""Seconds that an operation waits for a connection: how many are served is asked, not how many are turned away."""
WORKS_OFF = 3.0
"""So many seconds after the end of an open loop what is still waiting is given up, and counts as it stands."""
UNTIL_ALL_RUN = 0.2


@dataclass(frozen=True)
class Order:
    """One run."""

    setting: Setting
    load: Load
    starts_at: float
    """On the machine's monotonic clock."""


class Subject:
    """The process, as the sweep sees it."""

    def __init__(self, url: str, workload: Workload, pool: PoolSettings) -> None:
        """Start it; it makes the workload's tables. It ends when this end of the pipe is closed."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=obey, args=(theirs, url, workload, pool), daemon=True)
        self._process.start()
        theirs.close()
        self._take()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid or 0

    def begin(self, setting: Setting, load: Load) -> float:
        """Order a run; return when it starts, on the monotonic clock."""
        starts_at = time.monotonic() + UNTIL_ALL_RUN
        self._pipe.send(Order(setting, load, starts_at))
        return starts_at

    def end(self) -> list[Timed]:
        """Wait for the run's end and return what was measured."""
        return self._take()

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(2 * WORKS_OFF)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()

    def _take(self) -> list[Timed]:
        found = self._pipe.recv()
        if isinstance(found, str):
            raise SubjectError(found)
        timed: list[Timed] = found
        return timed


class SubjectError(Exception):
    """The workload could not be run; the text says why."""


def obey(pipe: Pipe, url: str, workload: Workload, pool: PoolSettings) -> None:
    """Make the tables, then run what is ordered until nobody is there any more."""
    # Ctrl-C goes to the whole group: the sweep decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, BrokenPipeError):
        _answer(pipe, lambda: _set_up(url, workload, pool))
        while True:
            order = pipe.recv()
            _answer(pipe, partial(run, url, workload, pool, order))


def _answer(pipe: Pipe, deed: Callable[[], list[Timed]]) -> None:
    try:
        pipe.send(deed())
    except SQLAlchemyError as error:
        pipe.send(f"{error.__class__.__name__}: {getattr(error, 'orig', None) or error}")


def _set_up(url: str, workload: Workload, pool: PoolSettings) -> list[Timed]:
    with _working(url, pool, 1) as work, work.at_once() as connection:
        for statement in workload.setup:
            connection.execute(text(statement))
    return []


@contextlib.contextmanager
def _working(url: str, pool: PoolSettings, size: int) -> Iterator[Work]:
    own = {"size": size, "keep": min(pool.keep, size), "timeout": PATIENCE, "deadline": PATIENCE, "nesting": size}
    settings = pool.model_copy(update={**own, "shed_target": 0.0, "max_waiting": None, "pool_class": "queue"})
    engine = create_engine(url, **engine_options(settings, make_url(url), size))
    prepare_engine(engine, settings, "lab")
    try:
        yield Work(engine)
    finally:
        engine.dispose()


def run(url: str, workload: Workload, pool: PoolSettings, order: Order) -> list[Timed]:
    """Run the workload once; return all operations, those of the warm-up too."""
    with _working(url, pool, order.setting.pool) as work:
        _connect(work, order.setting.pool)
        one = _Run(work, workload, order)
        threads = [threading.Thread(target=one.work_off, args=(n,)) for n in range(order.setting.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return one.all()


def _connect(work: Work, size: int) -> None:
    # The pool is opened before anything is timed, as that of a worker that serves for a while.
    with contextlib.ExitStack() as stack:
        for _ in range(size):
            stack.enter_context(work.read())


class _Run:
    """What the threads of one run share."""

    def __init__(self, work: Work, workload: Workload, order: Order) -> None:
        self._work = work
        self._operations = workload.operation
        self._weights = [one.weight for one in workload.operation]
        self._load = order.load
        self._ends_at = order.starts_at + order.load.warm_up + order.load.seconds
        self._starts_at = order.starts_at
        self._arrivals = _arrivals(order) if order.load.is_open else []
        self._next = itertools.count()
        self._done: set[int] = set()
        self._timed: list[Timed] = []

    def work_off(self, number: int) -> None:
        """Be one thread."""
        draw = random.Random(self._load.seed * 1000 + number)
        time.sleep(max(0.0, self._starts_at - time.monotonic()))
        if self._load.is_open:
            self._come_as_they_come(draw)
        else:
            self._one_after_the_other(draw)

    def all(self) -> list[Timed]:
        """Return what was done, and the arrivals that were never begun, as they stand: a queue that only grows."""
        now = time.monotonic()
        left = [meant for at, meant in enumerate(self._arrivals) if at not in self._done]
        return self._timed + [Timed(meant, now - meant, is_well=False) for meant in left]

    def _one_after_the_other(self, draw: random.Random) -> None:
        while time.monotonic() < self._ends_at:
            operation = draw.choices(self._operations, self._weights)[0]
            time.sleep(operation.think) if operation.think else None
            self._timed.append(self._time(operation, time.monotonic(), draw))

    def _come_as_they_come(self, draw: random.Random) -> None:
        for at in self._next:
            if at >= len(self._arrivals) or time.monotonic() > self._ends_at + WORKS_OFF:
                return
            meant = self._arrivals[at]
            time.sleep(max(0.0, meant - time.monotonic()))
            self._timed.append(self._time(draw.choices(self._operations, self._weights)[0], meant, draw))
            self._done.add(at)

    def _time(self, operation: Operation, meant: float, draw: random.Random) -> Timed:
        began = time.monotonic()
        row = draw.randint(1, operation.rows)
        try:
            taken = self._do(operation, row)
        except SQLAlchemyError:
            return Timed(meant, time.monotonic() - meant, is_well=False)
        ended = time.monotonic()
        return Timed(meant, ended - meant, taken - began, ended - taken, operation.think)

    def _do(self, operation: Operation, row: int) -> float:
        """Do it; return when the connection was there."""
        taken: list[float] = []

        def deed(connection: Connection) -> None:
            taken.append(time.monotonic())
            for statement in operation.statements:
                result = connection.execute(text(statement), {"row": row} if ":row" in statement else {})
                if result.returns_rows:
                    result.fetchall()
            _use_processor(operation.cpu)
            if operation.hold:
                time.sleep(operation.hold)

        if operation.reads:
            with self._work.read() as connection:
                deed(connection)
        else:
            self._work.transact(deed)
        return taken[0]


def _use_processor(seconds: float) -> None:
    ends_at = time.thread_time() + seconds
    while time.thread_time() < ends_at:
        sum(range(200))


def _arrivals(order: Order) -> list[float]:
    """Return the moments at which operations are meant to begin: independent of each other, as people's are."""
    draw = random.Random(order.load.seed)
    rate, at = order.load.rate or 1.0, order.starts_at
    until = at + order.load.warm_up + order.load.seconds
    moments = []
    while (at := at + draw.expovariate(rate)) < until:
        moments.append(at)
    return moments
