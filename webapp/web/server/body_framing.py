"""Where a chunked body ends, found while it arrives.

This only decides when to stop waiting. What is in the body, and whether it is well formed, is Gunicorn's to say: it
decodes the same bytes afterwards. Where the two disagree, Gunicorn finds the body cut off and the connection is
closed.
Loaded by Gunicorn's master; imports nothing of ours.
"""

from __future__ import annotations


class ChunkScanner:
    """Follows the sizes of chunks through bytes that grow."""

    def __init__(self) -> None:
        """Begin at a body's first byte."""
        self._position = 0
        self._is_in_trailer = False

    def is_complete(self, data: bytes) -> bool:
        """Say whether `data`, all bytes since the head, contains the end of the body, or cannot be a chunked body."""
        while (line_end := data.find(b"\r\n", self._position)) >= 0:
            line = data[self._position : line_end]
            if self._is_in_trailer:
                self._position = line_end + 2
                if not line:
                    return True
                continue
            try:
                size = int(line.partition(b";")[0], 16)
            except ValueError:
                return True
            self._is_in_trailer = size == 0
            next_line = line_end + 2 + (size + 2 if size > 0 else 0)
            if next_line > len(data):
                return False
            self._position = next_line
        return False
