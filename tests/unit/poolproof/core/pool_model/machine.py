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
from tests.unit.poolproof.core.pool_model.fake_server import FAULTS, FakeConnection, Fault, Interrupted
from tests.unit.poolproof.core.pool_model.watched_pool import QUIET, Waiting, WatchedPool

faults = st.one_of(st.just(()), st.lists(st.sampled_from(FAULTS), max_size=3))
index = st.integers(0, 7)
BROKEN = RuntimeError("broken")
Ending = Callable[[FairQueuePool, Any], None]


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


def drop(proxy: Any) -> None:
    """Do nothing with it: the last reference ends with the call."""


def put_into_a_cycle(proxy: Any) -> None:
    """Leave it to the collector of cycles."""
    cycle: list[Any] = [proxy]
    cycle.append(cycle)


class PoolModel(WatchedPool):
    """The rules, each one step."""

    # --- what borrowers do

    @rule(faults=faults)
    def borrow(self, faults: Sequence[Fault]) -> None:
        """Borrow what there is at once."""
        with self._step(faults):
            self._borrow_now()

    @rule(faults=faults, deadline=st.sampled_from([None, 0.5, 3.0]), last_first=st.booleans())
    def borrow_in_a_thread(self, faults: Sequence[Fault], deadline: float | None, *, last_first: bool) -> None:
        """Borrow in a thread of its own, which may have to wait."""
        with self._step(faults, last_first=last_first):
            pool, request = self.pool, RequestCheckouts()
            worker = self.conductor.start(lambda: self._in_request(pool.connect, request, deadline))
            self.waiting.append(Waiting(worker, pool, request))

    @precondition(lambda self: self.lent)
    @rule(number=index, faults=faults, lazy=st.booleans(), last_first=st.booleans())
    def give_back(self, number: int, faults: Sequence[Fault], *, lazy: bool, last_first: bool) -> None:
        """Give one back."""
        with self._step(faults, lazy=lazy, last_first=last_first):
            lent = self._pick(self.lent, number)
            self.lent.remove(lent)
            pool, idle, connection = lent.pool, lent.pool.checkedin(), lent.connection
            is_wanted = bool(pool.waiting())
            is_kept = pool is self.pool and not pool.is_suspended and idle < pool.size() and not self.is_unsettled
            is_kept = is_kept and idle + pool.checkedout() <= pool.limit()
            self._let_go(lent, close)
            if is_kept and not is_wanted:
                assert pool.checkedin() == idle + 1, "what came back was closed"
                assert self.server.fired or not connection.is_closed

    @precondition(lambda self: self.lent)
    @rule(
        number=index,
        faults=faults,
        how=st.sampled_from([invalidate, invalidate_after_error, invalidate_with_pool]),
        lazy=st.booleans(),
    )
    def give_up(
        self, number: int, faults: Sequence[Fault], how: Callable[[FairQueuePool, Any], None], *, lazy: bool
    ) -> None:
        """Give one up as unusable, alone or with all of the pool."""
        with self._step(faults, lazy=lazy):
            lent = self._pick(self.lent, number)
            self.lent.remove(lent)
            self._let_go(lent, partial(how, lent.pool))

    @precondition(lambda self: self.lent)
    @rule(number=index, faults=faults, is_pool=st.booleans())
    def renew_later(self, number: int, faults: Sequence[Fault], *, is_pool: bool) -> None:
        """Have one, or all of the pool, renewed at the next checkout; whoever uses it goes on."""
        with self._step(faults):
            lent = self._pick(self.lent, number)
            if is_pool:
                lent.pool._invalidate(lent.proxy, BROKEN, _checkin=False)
            else:
                lent.proxy.invalidate(soft=True)

    @precondition(lambda self: self.lent)
    @rule(number=index, faults=faults, lazy=st.booleans())
    def take_out(self, number: int, faults: Sequence[Fault], *, lazy: bool) -> None:
        """Take one out of the pool for good."""
        with self._step(faults, lazy=lazy):
            lent = self._pick(self.lent, number)
            self.lent.remove(lent)
            self.detached.append(lent.proxy)
            self._let_go(lent, detach)

    @precondition(lambda self: self.detached)
    @rule()
    def close_detached(self) -> None:
        """Close one that was taken out; where that fails the pool has no part in it any more."""
        with self._step():
            proxy = self.detached.pop()
            connection = proxy.dbapi_connection
            proxy.close()
            if not connection.is_closed:
                connection.close()

    @precondition(lambda self: self.lent)
    @rule(number=index, faults=faults, in_a_cycle=st.booleans())
    def forget(self, number: int, faults: Sequence[Fault], *, in_a_cycle: bool) -> None:
        """Leave one to the garbage collector."""
        with self._step(faults):
            lent = self._pick(self.lent, number)
            self.lent.remove(lent)
            self._let_go(lent, put_into_a_cycle if in_a_cycle else drop)
            # Only what is younger than the last collection, since the cycle is: a full one takes long.
            gc.collect(0)

    @precondition(lambda self: self.waiting)
    @rule(number=index, faults=faults)
    def interrupt(self, number: int, faults: Sequence[Fault]) -> None:
        """Throw into the wait of a thread, as a signal's handler does."""
        with self._step(faults):
            waiting = self._pick(self.waiting, number)
            waiting.worker.interruption = Interrupted()

    # --- what the time, the server and the operator do

    @rule(seconds=st.sampled_from([0.02, 0.2, 1.1, 2.5]), faults=faults)
    def let_time_pass(self, seconds: float, faults: Sequence[Fault]) -> None:
        """Let time pass; who has waited for too long is told."""
        with self._step(faults):
            self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([0.0, 3.0, 16.0, 310.0, QUIET]), faults=faults)
    def keep_house(self, seconds: float, faults: Sequence[Fault]) -> None:
        """Let time pass, and the housekeeper do a round."""
        with self._step(faults):
            self.clock.advance(seconds)
            try:
                self.housekeeper.run_once()
            finally:
                self._drop_reclaimed()

    @rule()
    def stop_server(self) -> None:
        """Stop the server: every connection is dead."""
        with self._step():
            self.server.stop()

    @precondition(lambda self: not self.server.is_up)
    @rule()
    def start_server(self) -> None:
        """Start it again."""
        with self._step():
            self.server.is_up = True

    @rule(number=index)
    def kill(self, number: int) -> None:
        """End one session on the server."""
        with self._step():
            if alive := sorted(self.server.open, key=FakeConnection.thread_id):
                self._pick(alive, number).is_dead = True

    @rule(size=st.integers(0, 4), overflow=st.sampled_from([None, 0, 1, -1]), faults=faults, lazy=st.booleans())
    def resize(self, size: int, overflow: int | None, faults: Sequence[Fault], *, lazy: bool) -> None:
        """Change the size."""
        with self._step(faults, lazy=lazy):
            pool = self.pool
            pool.resize(size, overflow)
            assert pool.size() == size

    @rule(faults=faults, lazy=st.booleans())
    def suspend_or_resume(self, faults: Sequence[Fault], *, lazy: bool) -> None:
        """Pause the lane, or let it go on."""
        with self._step(faults, lazy=lazy):
            if self.pool.is_suspended:
                self.pool.resume()
            else:
                self.pool.suspend()

    @rule(faults=faults)
    def invalidate_all(self, faults: Sequence[Fault]) -> None:
        """Renew every connection at its next checkout."""
        with self._step(faults):
            invalidate_older_connections(self.pool)

    @rule(faults=faults, is_engine=st.booleans(), lazy=st.booleans())
    def dispose(self, faults: Sequence[Fault], *, is_engine: bool, lazy: bool) -> None:
        """Close what is idle; with the engine's method a new pool takes over."""
        with self._step(faults, lazy=lazy):
            pool = self.pool
            self.old_pools.append(pool)
            if is_engine:
                self.engine.dispose()
            else:
                pool.dispose()

    @precondition(lambda self: self.forks_left and not self.is_unsettled)
    @rule()
    def fork(self) -> None:
        """Fork: the child has a pool of its own, in which every slot can be borrowed, and closes nothing of ours."""
        self.forks_left -= 1
        with self._step():
            reading, writing = os.pipe()
            if (pid := os.fork()) == 0:
                os.write(writing, self._in_child().encode())
                os._exit(0)
            os.close(writing)
            with os.fdopen(reading) as pipe:
                verdict = pipe.read()
            os.waitpid(pid, 0)
            assert verdict == "as it should be", verdict

    def _in_child(self) -> str:
        try:
            inherited = set(self.server.open)
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
