"""The rules: whatever an application, a server, an operator and the housekeeper may do to a pool, in any order."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from poolproof.core.connection_record import invalidate_older_connections
from poolproof.core.queue_pool import FairQueuePool
from poolproof.leaks.checkouts import RequestCheckouts
from tests.unit.poolproof.core.pool_model.fake_server import (
    OF_BORROWING,
    OF_CLOSING,
    OF_KEEPING,
    OF_RETURNING,
    FakeConnection,
    Fault,
    Interrupted,
)
from tests.unit.poolproof.core.pool_model.watched_pool import LONG_PAUSE, How, WatchedPool


def some(faults: list[Fault]) -> st.SearchStrategy[Sequence[Fault]]:
    """Return no fault half of the time, else up to three of these."""
    return st.one_of(st.just(()), st.lists(st.sampled_from(faults), min_size=1, max_size=3))


index = st.integers(0, 7)
how = st.builds(How, is_lazy=st.booleans(), is_slow=st.booleans(), is_last_first=st.booleans())
BROKEN = RuntimeError("broken")
Ending = Callable[[FairQueuePool, Any], None]
SIZES, OVERFLOWS = st.sampled_from([0, 0, 1, 1, 2, 3]), st.sampled_from([None, None, None, 0, 1, -1])


def close(proxy: Any) -> None:
    """Give a connection back."""
    proxy.close()
    assert not proxy.is_valid


def invalidate(pool: FairQueuePool, proxy: Any) -> None:
    """Give it up."""
    proxy.invalidate()
    assert not proxy.is_valid


def invalidate_after_error(pool: FairQueuePool, proxy: Any) -> None:
    """Give it up because of an error."""
    proxy.invalidate(BROKEN)
    assert not proxy.is_valid


def invalidate_with_pool(pool: FairQueuePool, proxy: Any) -> None:
    """Give it up, and all others with it."""
    pool._invalidate(proxy, BROKEN)
    assert not proxy.is_valid


def detach(proxy: Any) -> None:
    """Take it out of the pool for good."""
    proxy.detach()


def abandon(proxy: Any) -> None:
    """Do nothing with it: the last reference ends with the call."""


def put_into_a_cycle(proxy: Any) -> None:
    """Leave it to the collector of cycles."""
    cycle: list[Any] = [proxy]
    cycle.append(cycle)


class PoolModel(WatchedPool):
    """The rules, each one step. What happens often has two of them: they are drawn with equal chances."""

    # --- what borrowers do

    @rule(faults=some(OF_BORROWING), how=how)
    def borrow(self, faults: Sequence[Fault], how: How) -> None:
        """Borrow what there is at once."""
        with self._run_step(faults, how):
            self._borrow_now()

    def _borrow_patiently(self, faults: Sequence[Fault], how: How, deadline: float | None) -> None:
        with self._run_step(faults, how):
            self._start_borrower(deadline)

    @rule(count=st.integers(1, 3))
    def use_some(self, count: int) -> None:
        """Borrow some at once and give them back, without any failure."""
        before = list(self.lent)
        for _ in range(count):
            with self._run_step():
                self._borrow_now()
        for lent in [lent for lent in self.lent if lent not in before]:
            self._return_one(self.lent.index(lent), (), How())

    @rule(faults=some(OF_BORROWING), how=how, deadline=st.sampled_from([None, 0.5, 3.0]))
    def borrow_in_a_thread(self, faults: Sequence[Fault], how: How, deadline: float | None) -> None:
        """Borrow in a thread of its own, which may have to wait."""
        self._borrow_patiently(faults, how, deadline)

    @rule(is_slow=st.booleans())
    def borrow_in_another_thread(self, *, is_slow: bool) -> None:
        """Borrow in one which connects while others go on."""
        self._borrow_patiently((), How(is_lazy=is_slow, is_slow=is_slow), None)

    def _return_one(self, number: int, faults: Sequence[Fault], how: How) -> None:
        with self._run_step(faults, how):
            lent = self._pick(self.lent, number)
            self.lent.remove(lent)
            pool, idle, connection = lent.pool, lent.pool.checkedin(), lent.connection
            is_kept = pool is self.pool and not pool.is_suspended and idle < pool.size() and not pool.waiting()
            is_kept = is_kept and idle + pool.checkedout() <= pool.limit() and not self.is_unsettled
            # What was lent before dispose() may be closed or kept; SQLAlchemy keeps it.
            is_kept = is_kept and not how.is_slow and connection.opened_at > self.disposed_at.get(pool, 0.0)
            self._let_go(lent, close)
            if is_kept and not self.server.fired:
                assert pool.checkedin() == idle + 1, "what came back was not kept"
                assert not connection.is_closed, "what came back was closed"

    @precondition(lambda self: self.lent)
    @rule(number=index, faults=some(OF_RETURNING), how=how)
    def return_one(self, number: int, faults: Sequence[Fault], how: How) -> None:
        """Give one back."""
        self._return_one(number, faults, how)

    @precondition(lambda self: self.lent)
    @rule(number=index, is_lazy=st.booleans())
    def return_another(self, number: int, *, is_lazy: bool) -> None:
        """Give one back, without any failure."""
        self._return_one(number, (), How(is_lazy=is_lazy))

    @precondition(lambda self: self.lent)
    @rule(
        number=index,
        faults=some(OF_RETURNING),
        ending=st.sampled_from([invalidate, invalidate_after_error, invalidate_with_pool]),
        how=how,
    )
    def invalidate_one(self, number: int, faults: Sequence[Fault], ending: Ending, how: How) -> None:
        """Give one up as unusable, alone or with all of the pool."""
        with self._run_step(faults, how):
            lent = self._pick(self.lent, number)
            self.lent.remove(lent)
            self._let_go(lent, partial(ending, lent.pool))

    @precondition(lambda self: self.lent)
    @rule(number=index, scope=st.sampled_from(["it", "older ones", "all"]))
    def renew_later(self, number: int, scope: str) -> None:
        """Have one, or all of the pool, renewed at the next checkout; whoever uses it goes on."""
        with self._run_step(()):
            lent = self._pick(self.lent, number)
            if scope == "it":
                lent.proxy.invalidate(soft=True)
            elif scope == "older ones":
                lent.pool._invalidate(lent.proxy, BROKEN, _checkin=False)
            else:
                invalidate_older_connections(self.pool)

    @precondition(lambda self: self.lent)
    @rule(number=index, faults=some(OF_RETURNING), how=how)
    def take_out(self, number: int, faults: Sequence[Fault], how: How) -> None:
        """Take one out of the pool for good."""
        with self._run_step(faults, how):
            lent = self._pick(self.lent, number)
            self.lent.remove(lent)
            self.detached.append(lent.proxy)
            self._let_go(lent, detach)

    @precondition(lambda self: self.lent)
    @rule(number=index, faults=some(OF_RETURNING), in_a_cycle=st.booleans())
    def forget(self, number: int, faults: Sequence[Fault], *, in_a_cycle: bool) -> None:
        """Leave one to the garbage collector."""
        with self._run_step(faults):
            lent = self._pick(self.lent, number)
            self.lent.remove(lent)
            self._let_go(lent, put_into_a_cycle if in_a_cycle else abandon)
            # Only what is younger than the last collection, since the cycle is: a full one takes long.
            gc.collect(0)

    @precondition(lambda self: self.waiting)
    @rule(number=index, faults=some(OF_CLOSING), how=how)
    def interrupt(self, number: int, faults: Sequence[Fault], how: How) -> None:
        """Throw into the wait of a thread, as a signal's handler does."""
        with self._run_step(faults, how):
            self._pick(self.waiting, number).worker.interruption = Interrupted()

    @precondition(lambda self: self.waiting and self.lent)
    @rule(number=index, faults=some(OF_CLOSING))
    def interrupt_the_one_served(self, number: int, faults: Sequence[Fault]) -> None:
        """Throw into the wait of a thread that has been granted a connection in this moment."""
        with self._run_step(faults):
            lent = self._pick(self.lent, number)
            self.lent.remove(lent)
            first = next((waiting for waiting in self.waiting if waiting.pool is lent.pool), None)
            self._let_go(lent, close)
            if first is not None:
                first.worker.interruption = Interrupted()

    # --- what the time, the server and the operator do

    @rule(seconds=st.sampled_from([0.02, 0.2, 1.1, 2.5]), faults=some(OF_BORROWING))
    def let_time_pass(self, seconds: float, faults: Sequence[Fault]) -> None:
        """Let time pass; who has waited for too long is told."""
        with self._run_step(faults):
            self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([0.0, 3.0, 16.0, 310.0, LONG_PAUSE]), faults=some(OF_KEEPING), how=how)
    def keep_house(self, seconds: float, faults: Sequence[Fault], how: How) -> None:
        """Let time pass, and the housekeeper do a round."""
        with self._run_step(faults, how):
            self.clock.advance(seconds)
            try:
                self.housekeeper.run_once()
            finally:
                self._drop_reclaimed()

    @rule(event=st.sampled_from(["stop", "start", "start", "end a session", "end a session"]), number=index)
    def change_server(self, event: str, number: int) -> None:
        """Stop the server, whereby every connection is dead, start it again, or end one session."""
        with self._run_step():
            alive = sorted(self.server.open, key=FakeConnection.thread_id)
            if event == "stop":
                self.server.stop()
            elif event == "start":
                self.server.is_up = True
            elif alive:
                self._pick(alive, number).is_dead = True

    @rule(
        size=st.sampled_from([0, 1, 1, 1, 2, 3]),
        overflow=st.sampled_from([None, None, 0, 0, 1, -1]),
        faults=some(OF_CLOSING),
        how=how,
    )
    def resize(self, size: int, overflow: int | None, faults: Sequence[Fault], how: How) -> None:
        """Change the size."""
        with self._run_step(faults, how):
            self.size, self.overflow = size, self.overflow if overflow is None else overflow
            self.pool.resize(size, overflow)

    @precondition(lambda self: not self.pool.is_suspended)
    @rule(is_meant=st.sampled_from([False, False, True]), faults=some(OF_CLOSING), how=how)
    def suspend(self, faults: Sequence[Fault], how: How, *, is_meant: bool) -> None:
        """Pause the lane; seldom, since nothing is lent until it goes on."""
        with self._run_step(faults, how):
            if is_meant:
                self.pool.suspend()

    def _resume(self, faults: Sequence[Fault], how: How) -> None:
        with self._run_step(faults, how):
            self.pool.resume()

    @precondition(lambda self: self.pool.is_suspended)
    @rule(faults=some(OF_CLOSING), how=how)
    def resume(self, faults: Sequence[Fault], how: How) -> None:
        """Let the lane go on."""
        self._resume(faults, how)

    @precondition(lambda self: self.pool.is_suspended)
    @rule()
    def resume_at_once(self) -> None:
        """Let the lane go on, without any failure."""
        self._resume((), How())

    @rule(faults=some(OF_CLOSING), is_engine=st.booleans(), how=how)
    def dispose(self, faults: Sequence[Fault], how: How, *, is_engine: bool) -> None:
        """Close what is idle; with the engine's method a new pool takes over."""
        with self._run_step(faults, how):
            pool = self.pool
            self.old_pools.append(pool)
            self.disposed_at[pool] = self.clock()
            if is_engine:
                self.engine.dispose()
            else:
                pool.dispose()

    @precondition(lambda self: self.forks_left and not self.is_unsettled)
    @rule()
    def fork(self) -> None:
        """Fork: the child has a pool of its own, in which every slot can be borrowed, and closes nothing of ours."""
        self.forks_left -= 1
        with self._run_step():
            reading, writing = os.pipe()
            inherited = set(self.server.open)
            if (pid := os.fork()) == 0:
                os.write(writing, self._in_child(inherited).encode())
                os._exit(0)
            os.close(writing)
            with os.fdopen(reading) as pipe:
                verdict = pipe.read()
            os.waitpid(pid, 0)
            assert verdict == "as it should be", verdict

    def _in_child(self, inherited: set[FakeConnection]) -> str:
        try:
            self.server.is_up = True
            pool = self.pool
            assert pool not in self.old_pools
            assert (pool.checkedin(), pool.checkedout(), pool.waiting()) == (0, 0, 0)
            assert self.leak_detector.checkouts.live() == []
            pool.resume()
            limit = pool.limit()
            proxies = [self._in_request(pool.connect, RequestCheckouts(), 0.0) for _ in range(int(min(limit, 5)))]
            assert pool.checkedout() == len(proxies) == len(self.server.open - inherited)
            for proxy in proxies:
                proxy.close()
            assert inherited <= self.server.open, "a session of the parent was ended"
        except BaseException as error:  # noqa: BLE001 - told to the parent
            return f"{type(error).__name__}: {error}"
        return "as it should be"
