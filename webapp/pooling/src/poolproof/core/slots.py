"""The slots of a pool: how many connections it may have, which are idle, what was returned.

`lock` guards everything here, and the wait queue. A returned connection is appended to `returned`, which needs no lock;
the thread that holds the lock, or takes it next, hands it on. A return never waits for the lock, because it may happen
inside a garbage collection that began in the very thread that holds it; so a thread that releases the lock looks at
`returned` again (`after_lock`). Connections are opened and closed outside of the lock.
"""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from poolproof.core.connection_record import MonotonicRecord, close_all, last_used_at
from poolproof.core.wait_queue import WaitQueue

_RECLAIMED = -math.inf
"""The `starttime` of a record that was reclaimed: what was done with its connection is not known, so it is not kept."""

Action = TypeVar("Action")
ActionFor = Callable[[MonotonicRecord, int], Action | None]
"""Returns what is due for an idle connection, given how many are idle; None when nothing is."""


@dataclass(slots=True)
class IdleLoan(Generic[Action]):
    """An idle connection that is taken out for maintenance."""

    record: MonotonicRecord
    action: Action
    close_reason: str | None = None
    """Why it is to be closed at the end; None when it stays."""


class Slots:
    """The state of a pool. The methods up to `return_idle` need the lock, those after it take it.

    Idle connections and waiters never exist at the same time. An idle record may be without a connection, as in
    SQLAlchemy's pool: it was lost, and its next borrower connects.
    """

    __slots__ = ("_wait_queue", "closing", "idle", "limit", "lock", "max_idle", "pid", "returned", "total")

    def __init__(self, wait_queue: WaitQueue) -> None:
        """Begin empty and with no slot."""
        self.lock = threading.Lock()
        self._wait_queue = wait_queue
        self.limit: float = 0
        """How many connections there may be."""
        self.max_idle: float = 0
        """How many of them may be idle."""
        self.total = 0
        """Slots in use: idle, lent, and being connected."""
        self.closing = 0
        """Slots whose connection is being closed: the server counts it until then."""
        self.idle = deque[MonotonicRecord]()
        self.returned = deque[MonotonicRecord]()
        self.pid = os.getpid()
        """The process whose connections these are; a child of fork must not close them."""

    def set_bounds(self, size: int, max_overflow: int) -> None:
        """Allow `size` connections (0: no limit) and `max_overflow` more that are closed on return (-1: no limit)."""
        self.limit = math.inf if size == 0 or max_overflow == -1 else size + max_overflow
        self.max_idle = size or math.inf

    def set_suspended(self) -> None:
        """Allow no connection at all."""
        self.limit = self.max_idle = 0

    def has_free(self) -> bool:
        """Say whether a connection may be made."""
        return self.total + self.closing < self.limit

    def distribute_returned(self) -> list[MonotonicRecord] | None:
        """Hand each returned connection to the first waiter, or keep it idle; return those that have to be closed."""
        surplus: list[MonotonicRecord] | None = None
        while self.returned:
            record = self.returned.popleft()
            is_within_limit = self.total <= self.limit
            if is_within_limit and self._wait_queue.waiters:
                self._wait_queue.pop().grant(record)
            elif is_within_limit and len(self.idle) < self.max_idle and record.starttime > _RECLAIMED:
                self.idle.append(record)
                if (shedding := self._wait_queue.shedding) is not None:
                    shedding.on_idle()
            else:
                self.total, self.closing = self.total - 1, self.closing + 1
                surplus = [*(surplus or ()), record]
        return surplus

    def grant_free(self) -> None:
        """Let waiters open connections, as many as there are free slots."""
        while self._wait_queue.waiters and self.has_free():
            self.total += 1
            self._wait_queue.pop().grant(None)

    def take_surplus(self) -> list[MonotonicRecord]:
        """Take out the idle connections above the bounds; the caller closes them."""
        surplus = []
        while self.idle and (self.total > self.limit or len(self.idle) > self.max_idle):
            surplus.append(self.idle.popleft())
            self.total, self.closing = self.total - 1, self.closing + 1
        return surplus

    def take_all_idle(self) -> list[MonotonicRecord]:
        """Take out all idle connections; the caller closes them."""
        taken = list(self.idle)
        self.idle.clear()
        self.total, self.closing = self.total - len(taken), self.closing + len(taken)
        return taken

    def borrow_idle(self, action_for: ActionFor[Action]) -> IdleLoan[Action] | None:
        """Take the longest unused idle connection for which `action_for` returns an action; it counts as lent."""
        count = self.idle_connections()
        due = next(((record, action) for record in self.idle if (action := action_for(record, count))), None)
        if due is None:
            return None
        self.idle.remove(due[0])
        return IdleLoan(*due)

    def idle_connections(self) -> int:
        """How many of the idle records have a connection. Needs no lock."""
        return sum(record.dbapi_connection is not None for record in self.idle.copy())

    def return_idle(self, record: MonotonicRecord) -> bool:
        """Put a connection back at its old position in the order of use; say whether it may be idle."""
        may_be_idle = not self._wait_queue.waiters and self.total <= self.limit and len(self.idle) < self.max_idle
        if may_be_idle:
            self.idle.insert(sum(last_used_at(other) < last_used_at(record) for other in self.idle), record)
        return may_be_idle

    def after_lock(self, surplus: list[MonotonicRecord] | None = None, reason: str = "surplus") -> None:
        """Do what a thread owes that has held the lock: hand on what was returned meanwhile, then close `surplus`."""
        if self.returned:
            self.drain_returned()
        if surplus:
            self._close(surplus, reason)

    def drain_returned(self) -> None:
        """Hand on what was returned, unless another thread holds the lock, which does it in its turn."""
        # Closing takes time, so it comes last: what is returned meanwhile may have found the lock held.
        surplus: list[MonotonicRecord] = []
        while self.returned and self.lock.acquire(blocking=False):
            try:
                surplus += self.distribute_returned() or ()
            finally:
                self.lock.release()
        if surplus:
            self._close(surplus, "surplus")

    def release(self, lent: int = 0, closed: int = 0) -> None:
        """Free the slots of connections that were lent, or being closed, and are gone; grant them to waiters."""
        with self.lock:
            self.total, self.closing = self.total - lent, self.closing - closed
            self.grant_free()
        self.after_lock()

    def run_locked(self, operation: Callable[..., None], *arguments: object) -> None:
        """Call `operation` with the lock held."""
        with self.lock:
            operation(*arguments)
        self.after_lock()

    def reclaim(self, record: MonotonicRecord) -> None:
        """Take back a record that nothing refers to any more, unless the pool itself is collected with it."""
        if self.pid != os.getpid() or record in self.idle.copy() or record in self.returned.copy():
            return
        # It is closed, or renewed for the next borrower.
        record.starttime = _RECLAIMED
        self.returned.append(record)
        self.drain_returned()

    def _close(self, surplus: list[MonotonicRecord], reason: str) -> None:
        # A slot is free only when its connection is closed: the server counts it until then.
        try:
            close_all(surplus, reason)
        finally:
            self.release(closed=len(surplus))
