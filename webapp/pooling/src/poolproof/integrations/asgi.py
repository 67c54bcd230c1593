"""ASGI middleware for FastAPI and Starlette whose endpoints use synchronous engines in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeoutError

from poolproof import deadlines
from poolproof.adoption.engines import DEFAULT_SETTINGS
from poolproof.core.stats import RequestStatistics
from poolproof.integrations import unavailable
from poolproof.leaks.checkouts import RequestCheckouts, current_request

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]


class PoolproofMiddleware:
    """Gives each request a deadline, returns the connections that it leaves, and answers a full pool with 503.

    `app.add_middleware(PoolproofMiddleware)`. An application's own handler of SQLAlchemy's TimeoutError comes first.
    """

    def __init__(
        self,
        app: ASGIApplication,
        request_deadline: float = DEFAULT_SETTINGS.request_deadline,
        statistics: RequestStatistics | None = None,
    ) -> None:
        """Give each request `request_deadline` seconds; count requests and their statements in `statistics`.

        The deadline bounds waits for a connection. It ends with the response: tasks after it may take any time.
        """
        self._app = app
        self._request_deadline = request_deadline
        self._statistics = statistics or RequestStatistics()

    async def __call__(self, scope: Scope, receive_message: Receive, send: Send) -> None:
        """Serve one request; what is no HTTP request is passed on."""
        if scope["type"] != "http":
            await self._app(scope, receive_message, send)
            return
        checkouts = RequestCheckouts()
        checkouts.is_bound_to_thread = False
        checkouts.name = f"{scope['method']} {scope['path']}"
        response = _Response(send)
        tokens = current_request.set(checkouts), deadlines.replace_deadline(self._request_deadline)
        is_cancelled = False
        try:
            await self._app(scope, receive_message, response.send)
        except asyncio.CancelledError:
            is_cancelled = True
            raise
        except SQLAlchemyTimeoutError:
            if response.has_started:
                raise
            await _send_unavailable(send)
        finally:
            current_request.reset(tokens[0])
            deadlines.restore_deadline(tokens[1])
            await self._finish(checkouts, is_cancelled=is_cancelled)

    async def _finish(self, checkouts: RequestCheckouts, *, is_cancelled: bool) -> None:
        # Before it is known what is out: a thread that still waits for a connection may get one after this.
        checkouts.is_finished = True
        # A thread of a cancelled request goes on, and returns what it holds; what stays idle is taken back later.
        if checkouts.live() and not is_cancelled:
            # In a thread: a rollback is a round trip.
            for checkout in await asyncio.to_thread(checkouts.release_all):
                checkout.registry.on_orphan(checkout)
        self._statistics.record_request(checkouts.statement_count)


class _Response:
    """What is sent; at its end the deadline is lifted."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_started = False

    async def send(self, message: Message) -> None:
        self.has_started = True
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            deadlines.lift_deadline()


async def _send_unavailable(send: Send) -> None:
    body = unavailable.problem_body().encode()
    headers = [
        (b"content-type", unavailable.PROBLEM_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", unavailable.retry_after().encode()),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
