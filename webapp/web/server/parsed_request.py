"""One request as Gunicorn's parser understands it, with less work for a connection that says the same again.

A browser that sends an answer after the other sends the same headers each time; only the request line differs. Headers
are parsed and checked by Gunicorn; where the bytes of all header lines are those of the connection's last request, its
result is used again. Loaded by Gunicorn's master; imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from gunicorn.http.message import Request
from gunicorn.http.unreader import Unreader

MAX_KEPT_BYTES = 4096
"""Headers that are larger are parsed each time: what is kept stays in memory as long as the connection."""


class HeaderBlock(NamedTuple):
    """Header lines, and what they mean."""

    lines: bytes
    version: tuple[int, int]
    scheme: str
    headers: list[tuple[str, str]]
    fields: dict[str, str]


class ParsedRequest(Request):  # type: ignore[misc]
    """A request of Gunicorn's; `fields` has its headers by name, in capitals."""

    def __init__(self, config: Any, buffer: RequestBuffer, client: Any, number: int, last: HeaderBlock | None) -> None:
        """Parse the head that `buffer` begins with; `last` are the headers of the connection's last request.

        Raises:
            Exception: one of Gunicorn's, about a request that is malformed or too large.
        """
        self._previous = last
        self.block: HeaderBlock | None = None
        """The headers, where the next request may use them again."""
        super().__init__(config, buffer, client, number)
        self.fields: dict[str, str] = self.block.fields if self.block is not None else _join(self.headers)

    def parse_headers(self, data: bytes, from_trailer: bool = False) -> list[tuple[str, str]]:  # noqa: FBT001, FBT002 - Gunicorn's
        """Return the headers in these lines, which Gunicorn checks unless it has just checked the same."""
        last = self._previous
        # The version is part of what they mean: it decides on Expect.
        if last is not None and not from_trailer and last.lines == data and last.version == self.version:
            self.block, self.scheme = last, last.scheme
            return last.headers
        headers: list[tuple[str, str]] = super().parse_headers(data, from_trailer)
        if not from_trailer and len(data) <= MAX_KEPT_BYTES and not self._expected_100_continue:
            self.block = HeaderBlock(data, self.version, self.scheme, headers, _join(headers))
        return headers


def _join(headers: list[tuple[str, str]]) -> dict[str, str]:
    """Return headers by name; values of the same name are one list (RFC 9110, section 5.3)."""
    fields: dict[str, str] = {}
    for name, value in headers:
        fields[name] = f"{fields[name]},{value}" if name in fields else value
    return fields


class RequestBuffer(Unreader):  # type: ignore[misc]
    """The bytes that Gunicorn's parser reads: those that are there, unless `read_more` gets further ones."""

    def __init__(self) -> None:
        """Begin empty."""
        super().__init__()
        self.unread_bytes = b""
        self.read_more: Callable[[], bytes] | None = None
        """Waits for further bytes of a large body, in its request's thread; b"" is the end."""

    def feed(self, data: bytes) -> None:
        """Add what has been received."""
        self.unread_bytes += data

    def read(self, size: int | None = None, read_ahead: int | None = None) -> bytes:
        """Return so many bytes; fewer at the end only. Without a size, what is there."""
        if size is None or size < 0:
            return self.take_buffered() or self.chunk(read_ahead)
        while len(self.unread_bytes) < size and (more := self.chunk(read_ahead)):
            self.unread_bytes += more
        data, self.unread_bytes = self.unread_bytes[:size], self.unread_bytes[size:]
        return data

    def unread(self, data: bytes | bytearray) -> None:
        """Take bytes back that were read too far."""
        self.unread_bytes = bytes(data) + self.unread_bytes

    def take_buffered(self) -> bytes:
        """Return what is there."""
        data, self.unread_bytes = self.unread_bytes, b""
        return data

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return further bytes."""
        return self.read_more() if self.read_more is not None else b""


class CachedSettings:
    """Gunicorn's configuration, each setting looked up once: there it costs a function or two, here a dictionary.

    Nothing changes a worker's configuration while it serves.
    """

    def __init__(self, config: Any) -> None:
        """Look nothing up yet."""
        self._config = config

    def __getattr__(self, name: str) -> Any:
        """Return a setting at its first use; Python finds it in the instance afterwards."""
        value = getattr(self._config, name)
        self.__dict__[name] = value
        return value
