"""Accepting clients, and not accepting while there is no room for them.

Where a process has no file descriptor left (EMFILE, ENFILE), or no memory, the next clients wait in the kernel's queue:
accepting pauses until a connection is closed, or for a moment. Loaded by Gunicorn's master; imports nothing of ours.
"""

from __future__ import annotations

import errno
import logging
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

PAUSE_DURATION = 0.5
"""Seconds without accepting when no connection is closed meanwhile."""
LOG_INTERVAL = 60.0
"""Seconds in which it is logged once that there was no room."""
ACCEPTS_PER_EVENT = 8
"""Clients accepted at a time: other workers wake up for the same ones."""
_NO_ROOM = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))

OnClient = Callable[[socket.socket, Any, Any], None]


class Acceptor:
    """The listening sockets of a worker, in its selector."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        listeners: Sequence[Any],
        log: logging.Logger,
        on_client: OnClient,
        has_room: Callable[[], bool],
    ) -> None:
        """Accept nothing yet.

        Args:
            selector: Of the main loop.
            listeners: Gunicorn's listening sockets.
            log: Gunicorn's.
            on_client: Called with each client's socket, which does not block, its address, and the listener's.
            has_room: Says whether there is room for another client.
        """
        self._selector = selector
        self._listeners = {listener: listener.getsockname() for listener in listeners}
        self._log = log
        self._on_client = on_client
        self._has_room = has_room
        self._is_accepting = False
        self._is_stopped = False
        self._resumes_at = 0.0
        self._logged_at = -LOG_INTERVAL

    def start(self) -> None:
        """Accept from now on."""
        if self._is_accepting or self._is_stopped:
            return
        self._is_accepting = True
        for listener in self._listeners:
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ, partial(self._accept_some, listener))

    def resume_if_due(self) -> None:
        """Accept again when a pause is over."""
        if not self._is_accepting and time.monotonic() >= self._resumes_at:
            self.start()

    def connection_closed(self) -> None:
        """End a pause: there is room for one."""
        self._resumes_at = 0.0

    def seconds_left(self, limit: float) -> float:
        """Return the seconds until a pause ends, at most `limit`."""
        if self._is_accepting or self._is_stopped:
            return limit
        return min(limit, max(0.0, self._resumes_at - time.monotonic()))

    def stop(self) -> None:
        """Accept who is in the kernel's queue already, and then nobody any more."""
        self._stop_accepting()
        self._is_stopped = True
        for listener in self._listeners:
            while self._accept(listener):
                pass

    def _stop_accepting(self) -> None:
        self._resumes_at = time.monotonic() + PAUSE_DURATION
        if self._is_accepting:
            self._is_accepting = False
            for listener in self._listeners:
                self._selector.unregister(listener)

    def _accept_some(self, listener: Any, _events: int) -> None:
        for _ in range(ACCEPTS_PER_EVENT):
            if not self._is_accepting or not self._accept(listener):
                return

    def _accept(self, listener: Any) -> bool:
        """Accept a client; return whether there may be another."""
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno in _NO_ROOM:
                self._report(error)
                self._stop_accepting()
            # Anything else is about the one client, who is gone.
            return False
        client.setblocking(False)
        self._on_client(client, address, self._listeners[listener])
        if not self._has_room():
            self._stop_accepting()
            return False
        return True

    def _report(self, error: OSError) -> None:
        now = time.monotonic()
        if now - self._logged_at >= LOG_INTERVAL:
            self._logged_at = now
            self._log.error("No client can be accepted for the moment (%s). Raise the limit of open files.", error)
