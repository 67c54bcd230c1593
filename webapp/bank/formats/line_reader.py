"""Lines of a file of any size, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

from webapp.bank.formats.parse_result import ByteStream, UnreadableError

MAX_LINE_BYTES = 256 * 1024
"""Bytes; of a longer line only so much is yielded that it is seen to be too long."""

_CHUNK = 64 * 1024
_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def read_lines(stream: ByteStream) -> Iterator[tuple[int, bytes]]:
    """Yield each line with its number, from 1, and its end, which is LF, CRLF or CR.

    Raises:
        UnreadableError: when the file is UTF-16.
    """
    number = 0
    for number, raw in enumerate(_split_lines(stream), start=1):
        if number == 1 and raw.startswith(_UTF_16):
            raise UnreadableError("this is UTF-16; save it as UTF-8")
        yield number, raw.removeprefix(_BOM) if number == 1 else raw


def decode_line(raw: bytes) -> tuple[str, bool]:
    """Return a line's text, and whether it had to be read as Windows-1252.

    Raises:
        UnicodeDecodeError: when it is neither that nor UTF-8.
    """
    try:
        return raw.decode(), False
    except UnicodeDecodeError:
        return raw.decode("cp1252"), True


def _split_lines(stream: ByteStream) -> Iterator[bytes]:
    pending = b""
    while chunk := stream.read(_CHUNK):
        lines = (pending + chunk).splitlines(keepends=True)
        # A CR at the end of what has been read may be half of a CRLF.
        pending = b"" if lines[-1].endswith(b"\n") else lines.pop()
        yield from lines
        if len(pending) > MAX_LINE_BYTES:
            pending = pending[: MAX_LINE_BYTES + 1] + (b"\r" if pending.endswith(b"\r") else b"")
    if pending:
        yield pending
