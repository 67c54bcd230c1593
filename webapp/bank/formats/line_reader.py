"""Lines of a file of any size, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

from webapp.bank.formats.parse_result import ByteStream, UnreadableError

MAX_LINE_BYTES = 256 * 1024
"""Of a longer line one byte more than this is yielded, so that the parser sees that it is too long."""
MIB = 1024 * 1024

_CHUNK_BYTES = 64 * 1024
_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class InvalidLineError(ValueError):
    """The line cannot be decoded; the text names the line."""


def read_lines(stream: ByteStream) -> Iterator[tuple[int, bytes]]:
    """Yield each line with its number, counted from 1, and with its line break, which is LF, CRLF or CR.

    Raises:
        UnreadableError: when the file is UTF-16.
    """
    for number, raw in enumerate(_split_lines(stream), start=1):
        if number == 1 and raw.startswith(_UTF_16):
            raise UnreadableError("this is UTF-16; save it as UTF-8")
        yield number, raw.removeprefix(_BOM) if number == 1 else raw


def read_lf_lines(stream: ByteStream) -> Iterator[tuple[int, bytes]]:
    """Yield each line that LF ends with its number, counted from 1; nothing is read ahead of the line."""
    number = 0
    while raw := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        piece = raw
        while not piece.endswith(b"\n") and (piece := stream.readline(MAX_LINE_BYTES)):
            pass
        yield number, raw.removeprefix(_BOM) if number == 1 else raw


def decode_line(number: int, raw: bytes) -> tuple[str, bool]:
    """Return a line's text, and whether it had to be decoded as Windows-1252.

    Raises:
        InvalidLineError: when it is neither UTF-8 nor Windows-1252.
    """
    try:
        return raw.decode(), False
    except UnicodeDecodeError:
        pass
    try:
        return raw.decode("cp1252"), True
    except UnicodeDecodeError as error:
        raise InvalidLineError(f"Line {number} has bytes that are neither UTF-8 nor Windows-1252.") from error


def _split_lines(stream: ByteStream) -> Iterator[bytes]:
    pending = b""
    while chunk := stream.read(_CHUNK_BYTES):
        lines = (pending + chunk).splitlines(keepends=True)
        # A CR at the end of the chunk may be the first half of a CRLF.
        pending = b"" if lines[-1].endswith(b"\n") else lines.pop()
        yield from lines
        if len(pending) > MAX_LINE_BYTES:
            pending = pending[: MAX_LINE_BYTES + 1] + (b"\r" if pending.endswith(b"\r") else b"")
    if pending:
        yield pending
