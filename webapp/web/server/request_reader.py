"""A connection's requests, put together from bytes that arrive in pieces.

The head is parsed once, by Gunicorn's parser, when it is there as a whole; the parser's own result says how long the
body is. So there is one opinion about where a request ends, and nothing is read twice. Loaded by Gunicorn's master;
imports nothing of ours but the other modules of its package.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import InvalidRequestLine, LimitRequestHeaders, NoMoreData
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import Unreader

from webapp.web.server.body_framing import ChunkScanner
from webapp.web.server.limits import MAX_HEAD_BYTES, MAX_WHOLE_BODY_BYTES

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


class RequestBuffer(Unreader):  # type: ignore[misc]
    """The bytes that Gunicorn's parser reads: those that are there, unless `read_more` gets further ones."""

    def __init__(self) -> None:
        """Begin empty."""
        super().__init__()
        self.read_more: Callable[[], bytes] | None = None
        """Waits for further bytes of a large body, in its request's thread; b"" is the end."""

    def feed(self, data: bytes) -> None:
        """Add what has been received."""
        self.buf.seek(0, os.SEEK_END)
        self.buf.write(data)

    def size(self) -> int:
        """Return how many bytes wait to be read."""
        size: int = self.buf.seek(0, os.SEEK_END)
        return size

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return further bytes to the parser."""
        return self.read_more() if self.read_more is not None else b""


class RequestReader:
    """The requests of one connection, one after another."""

    def __init__(self, config: Any, client: Any) -> None:
        """Begin with the first request of a client, under Gunicorn's configuration."""
        self.buffer = RequestBuffer()
        self.request: Any = None
        """Gunicorn's request once its head is there."""
        self._parser = RequestParser(config, (), client)
        self._parser.unreader = self.buffer
        self._head = bytearray()
        self._searched = 0
        self._scanner: ChunkScanner | None = None

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
        return ReadProgress.WHOLE if self.buffer.size() >= reader.length else ReadProgress.BODY  # type: ignore[union-attr]

    def is_invitation_expected(self) -> bool:
        """Say whether the client sends the body of the present request only when it is told to (Expect)."""
        return bool(self.request._expected_100_continue) and not self.buffer.size()  # noqa: SLF001 - see gunicorn_worker

    def begin_next(self) -> bool:
        """Go on with the next request; return False when it is not known where that begins."""
        if not self._parser.finish_body():
            return False
        self.request = self._scanner = None
        self._searched = 0
        self._head = bytearray(self.buffer.take_buffered())
        return True

    def _parse_head(self) -> bool:
        if _HEAD_END.search(self._head, self._searched) is None:
            if len(self._head) > MAX_HEAD_BYTES:
                raise LimitRequestHeaders("the head is too large")
            self._searched = max(0, len(self._head) - 3)
            return False
        self.buffer.feed(bytes(self._head))
        self._head = bytearray()
        try:
            self.request = next(self._parser)
        except (StopIteration, NoMoreData) as error:
            raise InvalidRequestLine("no request") from error
        return True

    def _advance_chunked(self, scanner: ChunkScanner) -> ReadProgress:
        if scanner.is_complete(self.buffer.buf.getvalue()):
            # Decoded here: what is malformed is refused before it reaches a thread, and before a next request is read.
            self.request.body = io.BytesIO(self.request.body.read())
            return ReadProgress.WHOLE
        return ReadProgress.LARGE if self.buffer.size() > MAX_WHOLE_BODY_BYTES else ReadProgress.BODY
