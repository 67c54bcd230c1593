"""The slots of a pool: how many connections it may have, which are idle, what was returned. The lock is the pool's."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.pool import ConnectionPoolEntry

from poolproof.core.connection_record import MonotonicRecord, last_used_at
from poolproof.core.wait_queue import WaitQueue

Action = TypeVar("Action")


class Slots:
    """The state of a pool. Every method needs the pool's lock; `returned` alone is appended to without it.

    Idle connections and waiters never exist at the same time.
    """

    __slots__ = ("_wait_queue", "closing", "idle", "limit", "max_idle", "returned", "total")

    def __init__(self, wait_queue: WaitQueue) -> None:
        """Begin empty and with no slot."""
        self._wait_queue = wait_queue
        self.limit: float = 0
        """How many connections there may be."""
        self.max_idle: float = 0
        """How many of them may be idle."""
        self.total = 0
        """Slots in use: idle, lent, and being connected."""
        self.closing = 0
        """Slots whose connection is being closed: the server counts it until then."""
        self.idle = deque[ConnectionPoolEntry]()
        self.returned = deque[ConnectionPoolEntry]()

    def set_bounds(self, size: int, max_overflow: int) -> None:
        """Allow `size` connections (0: no limit) and `max_overflow` more that are closed on return (-1: no limit)."""
        self.limit = math.inf if max_overflow == -1 else size + max_overflow
        self.max_idle = size or math.inf

    def has_free(self) -> bool:
        """Say whether a connection may be made."""
        return self.total + self.closing < self.limit

    def distribute_returned(self) -> list[ConnectionPoolEntry] | None:
        """Hand each returned connection to the first waiter, or keep it idle; return those that have to be closed."""
        surplus: list[ConnectionPoolEntry] | None = None
        while self.returned:
            record = self.returned.popleft()
            is_within_limit = self.total <= self.limit
            if is_within_limit and self._wait_queue.waiters and (waiter := self._wait_queue.pop()) is not None:
                waiter.grant(record)
            elif is_within_limit and len(self.idle) < self.max_idle:
                self.idle.append(record)
                self._wait_queue.on_idle()
            else:
                self.total, self.closing = self.total - 1, self.closing + 1
                surplus = [*(surplus or ()), record]
        return surplus

    def grant_free(self) -> None:
        """Let waiters open connections, as many as there are free slots."""
        while self.has_free() and (waiter := self._wait_queue.pop()) is not None:
            self.total += 1
            waiter.grant(None)

    def release(self, lent: int, closed: int) -> None:
        """Free the slots of connections that were lent, or being closed, and are gone; grant them to waiters."""
        self.total, self.closing = self.total - lent, self.closing - closed
        self.grant_free()

    def take_surplus(self) -> list[ConnectionPoolEntry]:
        """Take out the idle connections above the bounds; the caller closes them."""
        surplus = []
        while self.idle and (self.total > self.limit or len(self.idle) > self.max_idle):
            surplus.append(self.idle.popleft())
            self.total, self.closing = self.total - 1, self.closing + 1
        return surplus

    def borrow_idle(
        self, action_for: Callable[[MonotonicRecord, int], Action | None]
    ) -> tuple[MonotonicRecord, Action] | None:
        """Take the longest unused idle connection for which `action_for` returns an action; it counts as lent."""
        records = (record for record in self.idle if isinstance(record, MonotonicRecord))
        due = next(((record, action) for record in records if (action := action_for(record, len(self.idle)))), None)
        if due is not None:
            self.idle.remove(due[0])
        return due

    def return_idle(self, record: MonotonicRecord) -> bool:
        """Put a connection back at its old position in the order of use; say whether it may be idle."""
        may_be_idle = not self._wait_queue.waiters and self.total <= self.limit and len(self.idle) < self.max_idle
        if may_be_idle:
            self.idle.insert(sum(last_used_at(other) < last_used_at(record) for other in self.idle), record)
        return may_be_idle
