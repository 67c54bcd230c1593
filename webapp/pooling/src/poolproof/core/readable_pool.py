"""What a fair pool says of its state: in QueuePool's words, and in ours. None of it takes the lock."""

from __future__ import annotations

from sqlalchemy.pool import QueuePool

from poolproof.core.slots import Slots
from poolproof.core.wait_queue import Waiter, WaitQueue


class ReadablePool(QueuePool):
    """The part of `FairQueuePool` that only reads."""

    _size: int
    _slots: Slots
    _wait_queue: WaitQueue

    def size(self) -> int:
        """Connections that are kept."""
        return self._size

    def idle_connections(self) -> int:
        """Connections that are idle; unlike `checkedin` without the records that have lost theirs."""
        return self._slots.idle_connections()

    def checkedin(self) -> int:
        """Records that are idle."""
        return len(self._slots.idle) + len(self._slots.returned)

    def checkedout(self) -> int:
        """Connections that are lent or being made."""
        return self._slots.total - self.checkedin()

    def overflow(self) -> int:
        """Connections above the size; negative while there are fewer."""
        return self._slots.total - self._size if self._size else 0

    def waiting(self) -> int:
        """How many threads wait."""
        return len(self._wait_queue.waiters)

    def waiters(self) -> list[Waiter]:
        """Return those that wait, the first in the queue first."""
        return list(self._wait_queue.waiters.copy())

    def is_overloaded(self) -> bool:
        """Say whether waits have been too long for a while, so that some are rejected."""
        return self._wait_queue.shedding is not None and self._wait_queue.shedding.is_overloaded

    def oldest_wait(self) -> float:
        """How long the first in the queue has waited, in seconds; 0.0 when none waits."""
        return self._wait_queue.oldest_wait()

    def limit(self) -> float:
        """How many connections there may be now; infinity where there is no limit."""
        return self._slots.limit

    def max_idle(self) -> float:
        """How many connections may be idle."""
        return self._slots.max_idle

    def status(self) -> str:
        """Return the pool's state in QueuePool's format, and how many threads wait."""
        return f"{super().status()} Waiting: {self.waiting()}"
