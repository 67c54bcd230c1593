"""Responses that are sent after their request thread has left: no thread waits for a commit.

WSGI keeps a thread until its response is there. Under load that is the cost: each waiting thread is put to sleep and
woken, and all that are woken at once compete for the interpreter lock. Here connections belong to the main loop, and a
thread holds one only while it handles a request. So a request whose response depends on a commit returns a
`DeferredResponse` in place of a body and frees its thread; the thread that commits sends the response and releases the
connection to the main loop.

This module imports neither Gunicorn nor anything of ours: the handler is known by its type only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication, WSGIEnvironment

    from webapp.web.server.connection import ClientConnection
    from webapp.web.server.request_handler import RequestHandler

DEFERRED_RESPONSE_KEY = "poolproof.deferred_response"
"""The key of a request's `DeferredResponse` in its environ; other servers and tests set none."""


class DeferredResponse:
    """The right to answer one request later. Iterable in name only: it is returned in place of the body."""

    __slots__ = ("_handler", "connection", "environ", "response", "started_at")

    def __init__(
        self,
        handler: RequestHandler,
        environ: WSGIEnvironment,
        response: Any,
        connection: ClientConnection,
        started_at: Any,
    ) -> None:
        """Make a response that has not been deferred yet; `response` is Gunicorn's."""
        self._handler = handler
        self.environ = environ
        self.response = response
        self.connection = connection
        self.started_at = started_at
        environ[DEFERRED_RESPONSE_KEY] = self

    def __iter__(self) -> Any:
        """Raise: the handler compares the body with this object and never iterates it."""
        raise TypeError("the response comes later")

    def complete(self, application: WSGIApplication) -> None:
        """Send the application's response from this thread; if it returns this object again, it stays deferred."""
        self._handler.respond(self, application)

    def complete_raw(self, status: str, headers: bytes, body: bytes) -> None:
        """Send bytes that are ready, in one piece; `headers` are lines, each with its line end."""
        self._handler.respond_raw(self, status, headers, body)

    def complete_in_thread(self, application: WSGIApplication) -> None:
        """Have a request thread send the response: for an application that takes long or needs a connection."""
        self._handler.submit(self.connection, self.complete, application)
