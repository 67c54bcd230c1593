"""Responses that are sent after their request thread has left: no thread waits for a commit.

WSGI keeps a thread until its response is there. Under load that is the cost: each waiting thread is put to sleep and
woken, and all that are woken at once compete for the interpreter lock. Here connections belong to the main loop, and a
thread holds one only while it handles a request. So a request whose response depends on a commit returns a
`DeferredResponse` in place of a body and frees its thread; the thread that commits writes the response and releases the
connection to the main loop, which sends it.

This module imports neither Gunicorn nor anything of ours: the handler is known by its type only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime
    from wsgiref.types import WSGIApplication

    from webapp.web.server.connection import ClientConnection
    from webapp.web.server.request_handler import RequestHandler

DEFERRED_RESPONSE_KEY = "poolproof.deferred_response"
"""The key of a request's `DeferredResponse` in its environ; other servers and tests set none."""


class DeferredResponse:
    """The right to answer one request later. Iterable in name only: it is returned in place of the body."""

    __slots__ = ("_handler", "connection", "environ", "request", "response", "started_at")

    def __init__(self, handler: RequestHandler, connection: ClientConnection, started_at: datetime | None) -> None:
        """Make a response to the connection's present request that has not been deferred yet."""
        self._handler = handler
        self.connection = connection
        self.request = connection.reader.request
        self.started_at = started_at
        """When its thread got it, where Gunicorn writes an access log."""
        self.response: Any = None
        """Gunicorn's response, once there is an environ."""
        self.environ: dict[str, Any] = {DEFERRED_RESPONSE_KEY: self}
        """What the environ will have in addition, until an application needs one: then it is the environ."""

    def __iter__(self) -> Any:
        """Raise: the handler compares the body with this object and never iterates it."""
        raise TypeError("the response comes later")

    def read_body(self) -> bytes:
        """Return the request's body, which an application may read again."""
        return self.connection.reader.peek_body()

    def complete(self, application: WSGIApplication) -> None:
        """Answer by an application, in this thread; if it returns this object again, the response stays deferred."""
        self._handler.respond(self, application)

    def complete_raw(self, status: str, headers: bytes, body: bytes) -> None:
        """Send bytes that are ready, in one piece; `headers` are lines, each with its line end."""
        self._handler.respond_raw(self, status, headers, body)

    def complete_in_thread(self, application: WSGIApplication) -> None:
        """Have a request thread send the response: for an application that takes long or needs a connection."""
        self._handler.submit(self.connection, self.complete, application)
