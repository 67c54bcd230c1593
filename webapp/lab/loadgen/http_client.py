"""One visitor's connection: the least HTTP/1.1 that a keep-alive client needs, and little work for each request.

The load shares a machine with what it measures, so it does no more than this; the report says what it took.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

REQUEST_TIMEOUT = 60.0
"""Seconds."""


class InvalidResponseError(Exception):
    """The server ended the connection in the middle, or did not speak HTTP."""


@dataclass(frozen=True)
class HttpResponse:
    """What came back; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body read as JSON."""
        return json.loads(self.body)


class HttpClient(asyncio.Protocol):
    """A keep-alive connection; one request at a time, connected again when the server has closed it."""

    def __init__(self, host: str, port: int) -> None:
        """Connect at the first request."""
        self._host = host
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._pending_response: asyncio.Future[HttpResponse] | None = None

    async def request(self, method: str, path: str, body: object | None = None) -> HttpResponse:
        """Send a request and return its answer.

        Raises:
            OSError: when the server cannot be reached, or takes longer than a minute.
            InvalidResponseError: when it hangs up before its answer is complete.
        """
        async with asyncio.timeout(REQUEST_TIMEOUT):
            if self._transport is None or self._transport.is_closing():
                await asyncio.get_running_loop().create_connection(lambda: self, self._host, self._port)
            assert self._transport is not None  # noqa: S101 - connection_made has set it
            self._pending_response = asyncio.get_running_loop().create_future()
            self._transport.write(self._encode_request(method, path, body))
            try:
                return await self._pending_response
            finally:
                self._pending_response = None

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
        """Gather until the answer is complete (asyncio calls this)."""
        self._received += data
        try:
            answer = parse_response(self._received)
        except ValueError as error:
            self._fail(InvalidResponseError(str(error)))
            return
        if answer is not None and self._pending_response is not None and not self._pending_response.done():
            self._received.clear()
            self._pending_response.set_result(answer)
            if answer.headers.get("connection", "").lower() == "close":
                self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits (asyncio calls this)."""
        self._transport = None
        self._fail(exc or InvalidResponseError("hung up before the answer was complete"))

    def _fail(self, error: Exception) -> None:
        if self._pending_response is not None and not self._pending_response.done():
            self._pending_response.set_exception(error)

    def _encode_request(self, method: str, path: str, body: object | None) -> bytes:
        content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        kind = "Content-Type: application/json\r\n" if body is not None else ""
        host = f"Host: {self._host}:{self._port}\r\n"
        head = f"{method} {path} HTTP/1.1\r\n{host}{kind}Content-Length: {len(content)}\r\n\r\n"
        return head.encode("ascii") + content


def parse_response(received: bytearray) -> HttpResponse | None:
    """Return the answer when all of it has come, otherwise None.

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
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = _decode_chunked(rest)
        return None if body is None else HttpResponse(status, headers, body)
    length = int(headers.get("content-length", 0))
    return HttpResponse(status, headers, rest[:length]) if len(rest) >= length else None


def _decode_chunked(encoded: bytes) -> bytes | None:
    body, at = b"", 0
    while (line_ends := encoded.find(b"\r\n", at)) >= 0:
        size = int(encoded[at:line_ends].split(b";")[0], 16)
        start = line_ends + 2
        if size == 0:
            return body if encoded.endswith(b"\r\n\r\n") else None
        if len(encoded) < start + size + 2:
            return None
        body += encoded[start : start + size]
        at = start + size + 2
    return None
