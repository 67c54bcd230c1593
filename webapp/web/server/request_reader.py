"""A connection's requests, put together from bytes that arrive in pieces.

The head is parsed once, by Gunicorn's parser, when it is there as a whole; the parser's own result says how long the
body is. So there is one opinion about where a request ends, and nothing is read twice. Loaded by Gunicorn's master;
imports nothing of ours but the other modules of its package.
"""

from __future__ import annotations

import io
import re
from enum import Enum, auto
from typing import Any

from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.errors import InvalidHeader, InvalidRequestLine, LimitRequestHeaders, NoMoreData

from webapp.web.server.body_framing import ChunkScanner
from webapp.web.server.limits import MAX_HEAD_BYTES, MAX_WHOLE_BODY_BYTES
from webapp.web.server.parsed_request import HeaderBlock, ParsedRequest, RequestBuffer

DISCARDED_AT_ONCE = 16 * 1024
"""Bytes of a body that nobody has read, read at a time."""
# A line may end with a bare LF here, so that Gunicorn's parser gets it and refuses it at once.
_HEAD_END = re.compile(rb"\r?\n\r?\n")


class ReadProgress(Enum):
    """How much of a request is there."""

    HEAD = auto()
    """Not all of its head."""
    BODY = auto()
    """Its head, and not all of its body."""
    WHOLE = auto()
    LARGE = auto()
    """Its head; the body is too large to wait for here."""


class RequestReader:
    """The requests of one connection, one after another."""

    __slots__ = ("_client", "_config", "_head", "_headers", "_number", "_scanner", "_searched", "buffer", "request")

    def __init__(self, config: Any, client: Any) -> None:
        """Begin with the first request of a client, under Gunicorn's configuration."""
        self.buffer = RequestBuffer()
        self.request: Any = None
        """The request once its head is there, a `ParsedRequest`."""
        self._config, self._client = config, client
        self._head = b""
        self._searched = 0
        self._scanner: ChunkScanner | None = None
        self._headers: HeaderBlock | None = None
        self._number = 0

    def feed(self, data: bytes) -> None:
        """Add what has been received."""
        if self.request is None:
            self._head += data
        else:
            self.buffer.feed(data)

    def has_data(self) -> bool:
        """Say whether a part of a head is there."""
        return bool(self._head)

    def advance(self) -> ReadProgress:
        """Return how much of the present request is there.

        Raises:
            Exception: one of Gunicorn's, or what its parser raises, about a request that is malformed or too large.
        """
        if self.request is None and not self._parse_head():
            return ReadProgress.HEAD
        reader = self.request.body.reader if self._scanner is None else None
        if isinstance(reader, ChunkedReader):
            self._scanner = ChunkScanner()
        if self._scanner is not None:
            return self._advance_chunked(self._scanner)
        if reader.length > MAX_WHOLE_BODY_BYTES:  # type: ignore[union-attr]
            return ReadProgress.LARGE
        return ReadProgress.WHOLE if len(self.buffer.unread_bytes) >= reader.length else ReadProgress.BODY  # type: ignore[union-attr]

    def is_invitation_expected(self) -> bool:
        """Say whether the client sends the body of the present request only when it is told to (Expect)."""
        expects = bool(self.request._expected_100_continue)  # noqa: SLF001 - see gunicorn_worker
        return expects and not self.buffer.unread_bytes

    def peek_body(self) -> bytes:
        """Return the body of a request that is whole, and leave it to be read; b"" where it came in chunks."""
        reader = getattr(self.request.body, "reader", None)
        return self.buffer.unread_bytes[: reader.length] if isinstance(reader, LengthReader) else b""

    def begin_next(self) -> bool:
        """Go on with the next request; return False when it is not known where that begins.

        Raises:
            OSError: when the body of the present request is cut off.
        """
        if not self._discard_body():
            return False
        self._headers = self.request.block
        self.request = self._scanner = None
        self._searched = 0
        self._head = self.buffer.take_buffered()
        return True

    def _parse_head(self) -> bool:
        if _HEAD_END.search(self._head, self._searched) is None:
            if len(self._head) > MAX_HEAD_BYTES:
                raise LimitRequestHeaders("the head is too large")
            self._searched = max(0, len(self._head) - 3)
            return False
        self.buffer.feed(self._head)
        self._head = b""
        self._number += 1
        try:
            self.request = ParsedRequest(self._config, self.buffer, self._client, self._number, self._headers)
        except (StopIteration, NoMoreData) as error:
            raise InvalidRequestLine("no request") from error
        # RFC 9112, section 3.2; Gunicorn leaves it to the application.
        if self.request.version >= (1, 1) and "HOST" not in self.request.fields:
            raise InvalidHeader("HOST", req=self.request)
        return True

    def _advance_chunked(self, scanner: ChunkScanner) -> ReadProgress:
        if scanner.is_complete(self.buffer.unread_bytes):
            # Decoded here: what is malformed is refused before it reaches a thread, and before a next request is read.
            self.request.body = io.BytesIO(self.request.body.read())
            return ReadProgress.WHOLE
        return ReadProgress.LARGE if len(self.buffer.unread_bytes) > MAX_WHOLE_BODY_BYTES else ReadProgress.BODY

    def _discard_body(self) -> bool:
        """Read what the application has left of a body; return False where reading it has failed before."""
        body = self.request.body
        reader = getattr(body, "reader", None)
        if isinstance(reader, LengthReader) and len(self.buffer.unread_bytes) >= reader.length:
            self.buffer.unread_bytes = self.buffer.unread_bytes[reader.length :]
            return True
        if getattr(body, "failed", False):
            return False
        while body.read(DISCARDED_AT_ONCE):
            pass
        return True
