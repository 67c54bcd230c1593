"""A share of a process's request threads, for requests that may occupy a thread for long.

A request that transfers a file, or that waits for a suspended pool, keeps its thread for as long as that lasts. With as
many of them as there are threads, no other request is answered, not even one that needs no connection. So they hold a
place in a `ThreadShare` meanwhile; where none is free the next is refused at once, because a wait for a place would
occupy a thread as well.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from poolproof import event_log
from poolproof.errors import ThreadShareFullError
from poolproof.runtime import fork

_request_places: ContextVar[tuple[object, ...]] = ContextVar("poolproof_thread_share_places", default=())
"""The places that the request of this context holds, in whichever share."""


def share_limit(threads: int, share: float) -> int:
    """Return how many of `threads` request threads are `share` (0 to 1) of them: at least one."""
    return max(1, int(threads * share))


class ThreadShare:
    """How many requests may occupy their threads for long at the same time, and how many do."""

    def __init__(self, limit: int) -> None:
        """Allow `limit` requests at once."""
        self.limit = limit
        self.rejected = 0
        """Requests refused because all places were held."""
        self._occupants: set[object] = set()
        # Guards `_occupants` between the comparison with the limit and the change.
        self._lock = threading.Lock()
        fork.track(self, fork.Phase.LOCKS)

    def held(self) -> int:
        """How many requests hold a place."""
        return len(self._occupants)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold a place while the block runs; a request that holds one already is not counted again.

        Raises:
            ThreadShareFullError: at once, when all places are held.
        """
        if any(place in self._occupants for place in _request_places.get()):
            yield
            return
        place = self._take_place()
        _request_places.set((*_request_places.get(), place))
        try:
            yield
        finally:
            # Not a reset by token: a response's body may be closed in another context than the one that began it.
            _request_places.set(tuple(other for other in _request_places.get() if other is not place))
            with self._lock:
                self._occupants.discard(place)

    def reset_after_fork(self) -> None:
        """Begin with no holder: the requests are the parent's, and one of them may have held the lock."""
        self._lock = threading.Lock()
        self._occupants = set()

    def _take_place(self) -> object:
        place = object()
        with self._lock:
            is_full = len(self._occupants) >= self.limit
            if is_full:
                self.rejected += 1
            else:
                self._occupants.add(place)
        if is_full:
            event_log.record_throttled("long-work", f"Long requests were refused: {self.limit} occupied their threads.")
            raise ThreadShareFullError(
                f"{self.limit} requests of this process occupy their threads for long already, and no more may, so "
                "that threads are left for all other requests. Let fewer of them run at once, raise their share of the "
                "threads, or resume the suspended lane that they wait for."
            )
        return place
