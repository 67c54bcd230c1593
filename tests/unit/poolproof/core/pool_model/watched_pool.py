"""One pool with all that belongs to it, and what must hold of them after each step.

The model knows which connections are lent, and who waits. After each step it compares: the numbers of the pool, the
connections that are open on the server, the records that own them, the checkouts that the leak detector sees.
"""

from __future__ import annotations

import contextvars
import gc
import math
import sys
import traceback
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize
from sqlalchemy import create_engine, event, make_url
from sqlalchemy.exc import InvalidRequestError

from poolproof import deadlines
from poolproof.core.queue_pool import FairQueuePool
from poolproof.engine import configure_engine, engine_options
from poolproof.errors import PoolTimeoutError
from poolproof.health import housekeeper
from poolproof.leaks.checkouts import RequestCheckouts, current_request
from poolproof.settings import PoolSettings
from tests.unit.poolproof.core.pool_model.conductor import Conductor, Worker
from tests.unit.poolproof.core.pool_model.fake_server import (
    LISTENERS,
    FakeConnection,
    FakeServer,
    Fault,
    Interrupted,
)

URL = make_url("mysql+pymysql://model@nowhere/")
LONG_PAUSE = 40_000.0
"""Seconds: longer than every interval of the pool, its keeper and the fake server's wait_timeout."""
ROUNDS_AFTER_QUIET = 3
STEPS_BETWEEN_COLLECTIONS = 5000


def forget(error: BaseException | None) -> None:
    """Let go of what the frames of an error refer to, as when it has been handled and dropped."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


@dataclass(eq=False)
class Lent:
    """A connection that somebody has borrowed."""

    proxy: Any
    pool: FairQueuePool
    request: RequestCheckouts
    since: float
    is_thread_over: bool = False
    """The thread that borrowed it has ended: the leak detector takes it back."""

    @property
    def connection(self) -> FakeConnection:
        """What the borrower uses."""
        connection: FakeConnection = self.proxy.dbapi_connection
        return connection


@dataclass(frozen=True)
class How:
    """In which order threads run during a step, and after it."""

    is_lazy: bool = False
    """Those that can go on do so at the end of a later step."""
    is_slow: bool = False
    """Others run whenever a thread would wait for the network, and one comes that wants a connection."""
    is_last_first: bool = False


DEFAULT_ORDER = How()


@dataclass(eq=False)
class Waiting:
    """A thread that has asked for a connection."""

    worker: Worker
    pool: FairQueuePool
    request: RequestCheckouts


class WatchedPool(RuleBasedStateMachine):
    """One pool with its engine, leak detector and housekeeper, over a fake server."""

    steps = 0
    """Of all runs."""
    collected_at = 0
    """After how many of them all garbage was collected last."""

    def __init__(self, conductor: Conductor) -> None:
        super().__init__()
        self.conductor = conductor
        self.clock = conductor.clock
        self.server = FakeServer(conductor.clock, self._do_io)
        self.lent: list[Lent] = []
        self.waiting: list[Waiting] = []
        self.detached: list[Any] = []
        self.finished_requests: list[RequestCheckouts] = []
        """Requests that have given back what they held in this step."""
        self.records: weakref.WeakSet[Any] = weakref.WeakSet()
        self.old_pools: list[FairQueuePool] = []
        self.highest_limits: weakref.WeakKeyDictionary[FairQueuePool, float] = weakref.WeakKeyDictionary()
        """The limit of each pool; where it was lowered while threads were connecting, what it was before."""
        self.disposed_at: weakref.WeakKeyDictionary[FairQueuePool, float] = weakref.WeakKeyDictionary()
        self.unraisable: list[BaseException | None] = []
        self.newcomers_left = 0
        self.has_failed = False
        self.is_unsettled = False

    # --- the beginning and the end of a run

    @initialize(
        size=st.sampled_from([1, 1, 1, 2]),
        overflow=st.sampled_from([0, 0, 0, 1]),
        pre_ping=st.booleans(),
        max_waiting=st.sampled_from([None, None, None, 1]),
        codel_target=st.sampled_from([0.0, 0.05]),
        is_counting=st.booleans(),
        forks=st.sampled_from([0, 0, 1]),
    )
    def make_pool(
        self,
        *,
        size: int,
        overflow: int,
        pre_ping: bool,
        max_waiting: int | None,
        codel_target: float,
        is_counting: bool,
        forks: int,
    ) -> None:
        """Make the engine as the service does; only the server and the housekeeper's thread are the model's."""
        settings = PoolSettings(
            size=size, max_overflow=overflow, max_waiting=max_waiting, codel_target=codel_target, metrics=is_counting
        )
        options = {**engine_options(settings, URL, threads=size), "pool_pre_ping": pre_ping}
        self.engine = create_engine(URL, creator=self._connect, _initialize=False, **options)
        self._add_listeners("early")
        made: list[Any] = []
        original = housekeeper.Housekeeper
        housekeeper.Housekeeper = lambda *arguments: made.append(original(*arguments)) or made[0]  # type: ignore[assignment,misc,func-returns-value]
        try:
            self.leak_detector = configure_engine(self.engine, settings, "model")
        finally:
            housekeeper.Housekeeper = original  # type: ignore[misc]
        self.housekeeper = made[0]
        # The process's own thread, where another test has started it, must not do rounds between the model's.
        housekeeper._housekeepers.discard(self.housekeeper)
        self._add_listeners("late")
        self.settings, self.size, self.overflow = settings, size, overflow
        # A fork takes as long as some hundred other steps.
        self.forks_left = forks

    def _connect(self, connection_record: Any) -> FakeConnection:
        pool = connection_record._ConnectionRecord__pool
        # What is being closed is open until its `close` has returned.
        assert len(self._open(pool)) < self.highest_limits.get(pool, pool.limit()), "more connections than the limit"
        self.records.add(connection_record)
        return self.server.connect(pool)

    def _do_io(self) -> None:
        assert not self.pool._slots.lock.locked(), "the network is used under the pool's lock"
        if self.newcomers_left and self.conductor.is_main():
            self.newcomers_left -= 1
            self._start_borrower(None)
        self.conductor.do_io()

    def _add_listeners(self, when: str) -> None:
        for name in LISTENERS:
            event.listen(self.engine, name, self._listener(f"{when} {name}"))

    def _listener(self, point: str) -> Callable[..., None]:
        return lambda *arguments: self.server.call(point)

    def teardown(self) -> None:
        """Let all return what they hold, be quiet for longer than every interval, and borrow every slot."""
        if not hasattr(self, "engine"):
            return
        if self.has_failed:
            self._let_all_go()
            return
        try:
            with self._run_step():
                self._let_all_go()
                self.server.is_up = True
                self.pool.resume()
            self.clock.advance(LONG_PAUSE)
            for _ in range(ROUNDS_AFTER_QUIET):
                with self._run_step():
                    self.housekeeper.run_once()
                    self._drop_reclaimed()
                self.clock.advance(self.settings.keepalive_interval)
            self._borrow_every_slot()
            self._end()
        except BaseException:
            self.has_failed = True
            self._let_all_go()
            raise

    def _let_all_go(self) -> None:
        self.server.set_faults(())
        for waiting in self.waiting:
            waiting.worker.interruption = Interrupted()
        self._settle(last_first=False)
        for lent in self.lent:
            lent.proxy.close()
        for proxy in self.detached:
            proxy.dbapi_connection.close()
        self.lent, self.detached = [], []

    def _borrow_every_slot(self) -> None:
        limit = self.pool.limit()
        for _ in range(int(min(limit, 5))):
            with self._run_step():
                self._borrow_now()
        assert len(self.lent) == min(limit, 5), "a slot cannot be borrowed"
        if limit <= 5:
            with self._run_step():
                self._borrow_now()
            assert len(self.lent) == limit
        with self._run_step():
            for lent in self.lent:
                lent.proxy.close()
            self.lent.clear()

    def _end(self) -> None:
        self.engine.dispose()
        for pool in self.old_pools:
            pool.dispose()
        assert self.server.open == set(), "a connection stays open"
        del self.old_pools[:]
        if len(self.records) or WatchedPool.steps > WatchedPool.collected_at + STEPS_BETWEEN_COLLECTIONS:
            gc.collect()
            WatchedPool.collected_at = WatchedPool.steps
        assert list(self.records) == [], "a record is left over"
        assert self.leak_detector.checkouts.live() == []

    # --- what every step does

    @property
    def pool(self) -> FairQueuePool:
        """The engine's present pool."""
        pool = self.engine.pool
        assert isinstance(pool, FairQueuePool)
        return pool

    @contextmanager
    def _run_step(self, faults: Sequence[Fault] = (), how: How = DEFAULT_ORDER) -> Iterator[None]:
        """Run a step in which `faults` happen."""
        WatchedPool.steps += 1
        self.server.set_faults(faults, forgets_earlier=not self.is_unsettled)
        if not self.is_unsettled:
            self.highest_limits.clear()
        self._note_limit()
        self.conductor.network_is_slow, self.newcomers_left = how.is_slow, int(how.is_slow)
        try:
            with self._finalizers_may_fail():
                try:
                    yield
                except (Exception, Interrupted) as error:  # noqa: BLE001 - judged
                    self._judge(error)
                    forget(error)
                self._note_limit()
                self.is_unsettled = self.is_unsettled or how.is_lazy
                if how.is_lazy:
                    self._collect_ended()
                    self._drop_unraisable()
                else:
                    self._settle(last_first=how.is_last_first)
            if not how.is_lazy:
                self._check_everything()
        except BaseException:
            self.has_failed = True
            raise

    def _note_limit(self) -> None:
        for pool in (self.pool, *self.old_pools):
            self.highest_limits[pool] = max(self.highest_limits.get(pool, 0), pool.limit())

    @contextmanager
    def _finalizers_may_fail(self) -> Iterator[None]:
        """Judge what is raised where nobody can catch it: while a connection is given back by garbage collection."""
        original, sys.unraisablehook = sys.unraisablehook, lambda raised: self.unraisable.append(raised.exc_value)
        try:
            yield
        finally:
            sys.unraisablehook = original

    def _drop_unraisable(self) -> None:
        while self.unraisable:
            error = self.unraisable.pop()
            assert error is not None
            self._judge(error)
            forget(error)
            del error

    def _let_go(self, lent: Lent, use: Callable[[Any], None]) -> None:
        """Do the last thing with a connection; when this returns or raises nobody refers to the proxy any more."""
        self.finished_requests.append(lent.request)
        proxy, lent.proxy = lent.proxy, None
        use(proxy)

    def _drop_reclaimed(self) -> None:
        """Drop what the leak detector takes back: what a thread holds that has ended, for too long."""
        latest = self.clock.now - self.settings.leak_threshold
        reclaimed = [
            lent for lent in self.lent if lent.is_thread_over and lent.since <= latest and not lent.proxy.is_valid
        ]
        self.finished_requests += [lent.request for lent in reclaimed]
        self.lent = [lent for lent in self.lent if lent not in reclaimed]

    def _judge(self, error: BaseException) -> None:
        if self.server.has_raised(error):
            return
        # A listener, or pings, have refused every connection that was tried.
        if isinstance(error, InvalidRequestError) and self.server.fired:
            return
        raise error

    def _settle(self, *, last_first: bool) -> None:
        self.newcomers_left = 0
        # What an error has kept alive comes back when it is dropped, and may end another thread's wait.
        self._drop_unraisable()
        while any(worker.is_ready() or worker.has_ended for worker in self.conductor.workers):
            self.conductor.settle(last_first=last_first)
            self.is_unsettled = False
            self._collect_ended()
            self._drop_unraisable()
        self.is_unsettled = False

    def _collect_ended(self) -> None:
        self.conductor.reap()
        ended = [waiting for waiting in self.waiting if waiting.worker.has_ended]
        self.waiting = [waiting for waiting in self.waiting if not waiting.worker.has_ended]
        for waiting in ended:
            worker = waiting.worker
            if worker.error is None:
                self._record_lent(
                    Lent(worker.outcome, waiting.pool, waiting.request, self.clock.now, is_thread_over=True)
                )
                still = [other.worker.number for other in self.waiting if other.pool is waiting.pool]
                is_first = self.is_unsettled or worker.number < min(still, default=worker.number + 1)
                assert is_first, "a newcomer was served first"
            elif not isinstance(worker.error, (PoolTimeoutError, Interrupted)):
                self._judge(worker.error)
            forget(worker.error)
            worker.outcome = worker.error = None

    def _record_lent(self, lent: Lent) -> None:
        connection = lent.connection
        assert isinstance(connection, FakeConnection), "nothing was lent"
        assert not connection.is_closed, "a closed connection was lent"
        assert all(connection is not other.connection for other in self.lent), "a connection was lent twice"
        self.lent.append(lent)

    def _open(self, pool: FairQueuePool) -> list[FakeConnection]:
        """Return the open connections of a pool."""
        detached = {id(proxy.dbapi_connection) for proxy in self.detached}
        return [
            connection for connection in self.server.open if connection.pool is pool and id(connection) not in detached
        ]

    def _check_everything(self) -> None:
        self.old_pools = [pool for pool in self.old_pools if pool is not self.pool]
        assert (self.pool.size(), self.pool.limit()) == (self.size, self._expected_limit()), "other bounds than told"
        for pool in (self.pool, *self.old_pools):
            self._check_pool(pool)
        owned = {record.dbapi_connection for record in self.records} - {None}
        detached = {proxy.dbapi_connection for proxy in self.detached}
        assert owned | detached == self.server.open, "an open connection belongs to nobody, or a closed one to a record"
        self._check_checkouts()

    def _expected_limit(self) -> float:
        """Return how many connections there may be: as many as the last command said, none while the pool is paused."""
        if self.pool.is_suspended:
            return 0
        return math.inf if self.size == 0 or self.overflow == -1 else self.size + self.overflow

    def _check_pool(self, pool: FairQueuePool) -> None:
        lent = [lent for lent in self.lent if lent.pool is pool]
        waiting = [waiting for waiting in self.waiting if waiting.pool is pool]
        idle, limit = pool.checkedin(), pool.limit()
        assert pool.checkedout() == len(lent), "slots are in use by nobody, or lent ones are not counted"
        assert idle <= pool.max_idle(), "more are idle than may be"
        assert idle == 0 or idle + len(lent) <= limit, "one is idle above the limit"
        assert len(self._open(pool)) <= idle + len(lent), "more connections are open than slots in use"
        assert pool.waiting() == len(waiting), "a thread waits that the pool does not know, or the other way round"
        assert not waiting or (idle == 0 and len(lent) >= limit), "a thread waits while a slot is free"

    def _check_checkouts(self) -> None:
        assert len(self.leak_detector.checkouts.live()) == len(self.lent), "the leak detector sees others"
        for lent in self.lent:
            assert lent.proxy.is_valid, "what is lent was taken away"
            assert len(lent.request.live()) == 1, "a request holds more than it has borrowed"
        for request in self.finished_requests:
            assert request.live() == [], "a request holds what it has given back"
        self.finished_requests.clear()

    def _pick(self, items: list[Any], number: int) -> Any:
        return items[number % len(items)]

    def _in_request(self, task: Callable[[], Any], request: RequestCheckouts, deadline: float | None) -> Any:
        def run() -> Any:
            current_request.set(request)
            if deadline is not None:
                deadlines.set_deadline(deadline)
            return task()

        return contextvars.copy_context().run(run)

    def _start_borrower(self, deadline: float | None) -> None:
        pool, request = self.pool, RequestCheckouts()
        worker = self.conductor.start(lambda: self._in_request(pool.connect, request, deadline))
        self.waiting.append(Waiting(worker, pool, request))

    def _borrow_now(self) -> None:
        pool, request = self.pool, RequestCheckouts()
        has_room = not pool.waiting() and pool.checkedin() + pool.checkedout() < pool.limit()
        has_room = has_room or pool.checkedin() > 0
        try:
            proxy = self._in_request(pool.connect, request, 0.0)
        except PoolTimeoutError:
            assert self.is_unsettled or not has_room, "refused although a slot is free"
        except BaseException:
            self.finished_requests.append(request)
            raise
        else:
            self._record_lent(Lent(proxy, pool, request, self.clock.now))
