"""Refused sign-ins are answered seconds later, by no thread: a client that sends the next at once is slowed down.

A refusal is cheap, but a client that guesses passwords sends as many as are answered, and would take the processor
from the players. A request thread makes the response and goes on; the response waits in a queue of bytes until it is
due, and its connection is as idle as any that is kept alive (see `server.deferred`).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from poolproof.runtime.periodic_thread import PeriodicThread
from webapp.web.server.deferred import DEFERRED_RESPONSE_KEY, DeferredResponse

DELAY = 3.0
"""Seconds for which a refusal is held back."""
MAX_DELAYED = 1000
"""Responses of a worker that are waiting; the next are sent at once. Each is some kilobytes."""
DELAYED_STATUSES = ("429", "503")
"""A wrong password is not among them: so few are looked at in a second that they need not be slowed down."""
IDLE_INTERVAL = 60.0
"""Seconds; the thread is woken by the first response that has to wait."""


@dataclass
class _Response:
    """What an application has passed to `start_response`."""

    status: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        self.status, self.headers = status, tuple(headers)
        return _refuse_write


def _refuse_write(_: bytes) -> None:
    raise NotImplementedError("Flask returns its bodies")


class DelayedRefusals:
    """WSGI middleware: holds back the refusals of POST requests to some paths."""

    def __init__(self, application: WSGIApplication, paths: Iterable[str]) -> None:
        """Start no thread yet."""
        self._application = application
        self._paths = frozenset(paths)
        self._delayed: deque[tuple[float, DeferredResponse, str, bytes, bytes]] = deque()
        # Guards the count of what is waiting; the queue itself is safe to append to and to pop from.
        self._lock = threading.Lock()
        self._thread = PeriodicThread("poolproof-refusals", self._send_due)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, later if it is refused."""
        deferred = environ.get(DEFERRED_RESPONSE_KEY)
        if deferred is None or environ["REQUEST_METHOD"] != "POST" or environ["PATH_INFO"] not in self._paths:
            return self._application(environ, start_response)
        response = _Response()
        body = _read_body(self._application(environ, response.start))
        if response.status[:3] in DELAYED_STATUSES and self._delay(deferred, response, body):
            waiting: Iterable[bytes] = deferred
            return waiting
        start_response(response.status, list(response.headers))
        return [body]

    def _delay(self, deferred: DeferredResponse, response: _Response, body: bytes) -> bool:
        head = "".join(f"{name}: {value}\r\n" for name, value in response.headers).encode("latin-1")
        with self._lock:
            if len(self._delayed) >= MAX_DELAYED:
                return False
            self._delayed.append((time.monotonic() + DELAY, deferred, response.status, head, body))
            is_first = len(self._delayed) == 1
        if is_first:
            self._thread.wake()
        return True

    def _send_due(self) -> float:
        """Send what is due; return the seconds until the next is."""
        while self._delayed:
            due_at, deferred, status, head, body = self._delayed[0]
            if (remaining := due_at - time.monotonic()) > 0:
                return remaining
            self._delayed.popleft()
            deferred.complete_raw(status, head, body)
        return IDLE_INTERVAL


def _read_body(body: Iterable[bytes]) -> bytes:
    try:
        return b"".join(body)
    finally:
        if close := getattr(body, "close", None):
            close()
