"""Responses that are sent after their request thread has left: no thread waits for a commit.

WSGI keeps a thread until its response is there. Under load that is the cost: each waiting thread is put to sleep and
woken, and all that are woken at once compete for the interpreter lock. In a gthread worker the connections belong to
the main loop, and a thread holds one only while it handles a request. So a request whose response depends on a commit
returns a `DeferredResponse` in place of a body and frees its thread; the thread that commits sends the response and
releases the connection to the main loop.

This module imports neither Gunicorn nor anything of ours: the worker is known by its type only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from webapp.web.server.gunicorn_worker import PoolproofWorker

DEFERRED_RESPONSE_KEY = "poolproof.deferred_response"
"""The key of a request's `DeferredResponse` in its environ; other servers and tests set none."""
INLINE_KEY = "poolproof.inline"
"""In the environ of a request that Gunicorn's main loop handles itself: nothing may block there."""


class ResponseDeferredError(BaseException):
    """Unwinds Gunicorn's stack after a response was deferred; none of its frames catches a BaseException."""


class DeferredResponse:
    """The right to answer one request later. Iterable in name only: it is returned in place of the body."""

    def __init__(
        self, worker: PoolproofWorker, environ: WSGIEnvironment, start_response: StartResponse, connection: Any
    ) -> None:
        """Make a response that has not been deferred yet."""
        self._worker = worker
        self._environ = environ
        self._start_response = start_response
        self._connection = connection

    def __iter__(self) -> Any:
        """Raise: the worker compares the body with this object and never iterates it."""
        raise TypeError("the response comes later")

    def complete(self, application: WSGIApplication) -> None:
        """Send the application's response from this thread; if it returns this object again, it stays deferred."""
        is_reusable = self._worker.send_response(self._environ, self._start_response, self._connection, application)
        if is_reusable is not None:
            self._worker.release(self._connection, is_reusable)

    def complete_raw(self, status: str, headers: bytes, body: bytes) -> None:
        """Send bytes that are ready, in one piece; `headers` are lines, each with its line end."""
        is_reusable = self._worker.send_raw_response(self._start_response, self._connection, status, headers, body)
        self._worker.release(self._connection, is_reusable)

    def complete_in_thread(self, application: WSGIApplication) -> None:
        """Have a request thread send the response: for an application that takes long or needs a connection."""
        self._worker.tpool.submit(self.complete, application)
