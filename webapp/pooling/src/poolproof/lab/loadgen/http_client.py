"""HTTP clients of the load: one that keeps its connection open, and a function that opens one for each request.

The load often shares a machine with what it measures; so `HttpClient` implements only the part of HTTP/1.1 that it
needs, and the report says how much of a processor it used.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any

REQUEST_TIMEOUT, SYNC_TIMEOUT = 60.0, 30.0
"""Seconds that a request may take: in an event loop, and by `send_request`."""
OK_STATUSES = {200, 201}
"""The statuses with which the service's pages and its REST interface answer a request that succeeded."""
NO_BODY = {204, 304}
"""Statuses of responses that have no body, also without a length."""


class InvalidResponseError(Exception):
    """The server closed the connection before the response was complete, or did not speak HTTP."""


@dataclass(frozen=True)
class HttpResponse:
    """A response; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    cookies: tuple[str, ...] = ()
    """Each Set-Cookie."""

    def json(self) -> Any:
        """Return the body read as JSON."""
        return json.loads(self.body)


class HttpClient(asyncio.Protocol):
    """A keep-alive connection with one request at a time; opened again when the server has closed it."""

    def __init__(self, host: str, port: int, headers: str = "", tls: ssl.SSLContext | None = None) -> None:
        """Connect at the first request; each request has these lines of headers too, each with its CRLF."""
        self._tls = tls
        self._host = host
        self._port = port
        self._headers = headers
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._pending_response: asyncio.Future[HttpResponse] | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as this side knows."""
        return self._transport is not None and not self._transport.is_closing()

    async def connect(self) -> None:
        """Open a connection if there is none.

        Raises:
            OSError: when the server cannot be reached.
        """
        if not self.is_open:
            await asyncio.get_running_loop().create_connection(lambda: self, self._host, self._port, ssl=self._tls)

    async def request(self, method: str, path: str, body: object | None = None) -> HttpResponse:
        """Send a request and return the response.

        Raises:
            OSError: when the server cannot be reached, or takes longer than a minute.
            InvalidResponseError: when it hangs up before the response is complete.
        """
        async with asyncio.timeout(REQUEST_TIMEOUT):
            return await self._exchange(self._encode_request(method, path, body))

    async def send(self, method: str, path: str, headers: str, content: bytes) -> HttpResponse:
        """Send a request with these lines of headers and these bytes, and return the response; nothing limits its time.

        Raises:
            OSError: when the server cannot be reached.
            InvalidResponseError: when it hangs up before the response is complete.
        """
        length = f"Content-Length: {len(content)}\r\n" if content or method != "GET" else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n{headers}{length}\r\n"
        return await self._exchange(head.encode("latin-1", errors="replace") + content)

    async def _exchange(self, encoded: bytes) -> HttpResponse:
        await self.connect()
        self._pending_response = asyncio.get_running_loop().create_future()
        try:
            await self._write(encoded)
            return await self._pending_response
        finally:
            self._pending_response = None

    async def send_half(self, method: str, path: str, body: object) -> None:
        """Send a request up to the middle of its body, as a client does that vanishes meanwhile.

        Raises:
            OSError: when the server cannot be reached.
        """
        await self.connect()
        encoded = self._encode_request(method, path, body)
        # The head, and the first half of the body that it announces.
        await self._write(encoded[: len(encoded) - len(_encode_body(body)) // 2])

    async def _write(self, data: bytes) -> None:
        """Send bytes; a server that has hung up meanwhile is told by the response that never comes."""
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (asyncio calls this)."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP has no other
        self._transport = transport
        self._received.clear()

    def data_received(self, data: bytes) -> None:
        """Collect bytes until the response is complete (asyncio calls this)."""
        self._received += data
        try:
            response = parse_response(self._received)
        except ValueError as error:
            self._fail(InvalidResponseError(str(error)))
            return
        if response is not None and self._pending_response is not None and not self._pending_response.done():
            self._received.clear()
            self._pending_response.set_result(response)
            if response.headers.get("connection", "").lower() == "close":
                self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request that waits for a response (asyncio calls this)."""
        self._transport = None
        if exc is None and self._pending_response is not None and not self._pending_response.done():
            # Without a length, the end of the connection is the end of the response.
            with contextlib.suppress(ValueError):
                if (response := parse_response(self._received, is_closed=True)) is not None:
                    self._pending_response.set_result(response)
        self._fail(exc or InvalidResponseError("hung up before the answer was complete"))

    def _fail(self, error: Exception) -> None:
        if self._pending_response is not None and not self._pending_response.done():
            self._pending_response.set_exception(error)

    def _encode_request(self, method: str, path: str, body: object | None) -> bytes:
        content = _encode_body(body)
        kind = "Content-Type: application/json\r\n" if body is not None else ""
        host = f"Host: {self._host}:{self._port}\r\n"
        head = f"{method} {path} HTTP/1.1\r\n{host}{self._headers}{kind}Content-Length: {len(content)}\r\n\r\n"
        return head.encode("ascii") + content


def send_request(host: str, port: int, method: str, path: str, body: object | None = None) -> HttpResponse:
    """Send one request on a connection of its own, without an event loop, and return the response.

    Raises:
        OSError: when the server cannot be reached, hangs up, or does not answer in time.
        http.client.HTTPException: when its response is incomplete or is not HTTP.
    """
    connection = http.client.HTTPConnection(host, port, timeout=SYNC_TIMEOUT)
    content = None if body is None else json.dumps(body)
    headers = {"Connection": "close", **({"Content-Type": "application/json"} if content else {})}
    try:
        connection.request(method, path, content, headers)
        response = connection.getresponse()
        received = {name.lower(): value for name, value in response.getheaders()}
        return HttpResponse(response.status, received, response.read())
    finally:
        connection.close()


def parse_response(received: bytearray, *, is_closed: bool = False) -> HttpResponse | None:
    """Return the response when all of it has arrived, otherwise None; `is_closed`: no more will.

    Raises:
        ValueError: when it is not HTTP.
    """
    head_ends = received.find(b"\r\n\r\n")
    if head_ends < 0:
        return None
    first, *lines = received[:head_ends].decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if not first.startswith("HTTP/1."):
        raise ValueError(f"not an HTTP answer: {first[:60]!r}")
    status, rest = int(first.split(" ", 2)[1]), bytes(received[head_ends + 4 :])
    if first.startswith("HTTP/1.0"):
        headers.setdefault("connection", "close")
    cookies = tuple(line.partition(":")[2].strip() for line in lines if line[:11].lower() == "set-cookie:")
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = _decode_chunked(rest)
        return None if body is None else HttpResponse(status, headers, body, cookies)
    if "content-length" not in headers and status not in NO_BODY:
        return HttpResponse(status, headers, rest, cookies) if is_closed else None
    length = int(headers.get("content-length", 0))
    return HttpResponse(status, headers, rest[:length], cookies) if len(rest) >= length else None


def _encode_body(body: object | None) -> bytes:
    return b"" if body is None else json.dumps(body, separators=(",", ":")).encode()


def _decode_chunked(encoded: bytes) -> bytes | None:
    body, position = b"", 0
    while (line_ends := encoded.find(b"\r\n", position)) >= 0:
        size = int(encoded[position:line_ends].split(b";")[0], 16)
        start = line_ends + 2
        if size == 0:
            return body if encoded.endswith(b"\r\n\r\n") else None
        if len(encoded) < start + size + 2:
            return None
        body += encoded[start : start + size]
        position = start + size + 2
    return None
