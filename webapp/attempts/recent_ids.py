"""A bounded memory of ids: the oldest are forgotten first."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from uuid import UUID

from poolproof.runtime import fork


class RecentIds:
    """Remembers the ids that were added last, `maximum` of them; about a hundred bytes each."""

    def __init__(self, maximum: int) -> None:
        """Begin empty."""
        self._maximum = maximum
        self.ids: dict[UUID, None] = {}
        """In the order in which they were added; may be searched without the lock."""
        self.reset_after_fork()
        fork.track(self, fork.Phase.LOCKS)

    def add(self, ids: Iterable[UUID]) -> None:
        """Remember ids, and forget the oldest ones where there are too many."""
        with self._lock:
            self.ids.update(dict.fromkeys(ids))
            while len(self.ids) > self._maximum:
                del self.ids[next(iter(self.ids))]

    def discard(self, ids: Iterable[UUID]) -> None:
        """Forget ids."""
        with self._lock:
            for value in ids:
                self.ids.pop(value, None)

    def reset_after_fork(self) -> None:
        """Replace the lock, which a thread of the parent may have held at the fork."""
        # Joins the look at the number of ids with the change of it.
        self._lock = threading.Lock()
