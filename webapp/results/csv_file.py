"""A table as a CSV file (RFC 4180) that Excel opens, too: UTF-8 with the mark by which it knows that."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from webapp.results.spreadsheet_cells import Cell

PIECE_CHARACTERS = 32 * 1024


def dump_csv(table: Iterable[Sequence[Cell]]) -> Iterator[bytes]:
    """Yield the file piece by piece."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    yield codecs.BOM_UTF8
    for row in table:
        writer.writerow([_text(cell) for cell in row])
        if buffer.tell() >= PIECE_CHARACTERS:
            yield _drain(buffer)
    yield _drain(buffer)


def _drain(buffer: io.StringIO) -> bytes:
    piece = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return piece


def _text(cell: Cell) -> str | int | float | None:
    return f"{cell:%Y-%m-%d %H:%M:%S}" if isinstance(cell, datetime) else cell
