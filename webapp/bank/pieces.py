"""An uploaded file between its dry run and its import: kept in pieces, so that any worker or machine can go on."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from typing import Any, Protocol

from sqlalchemy import Connection, delete, insert, select

from webapp.bank.formats.records import ByteStream
from webapp.bank.models import ItemImportPiece
from webapp.bank.storing import Look
from webapp.errors import TooLargeError
from webapp.pooling.work import Work

LARGEST_PIECE = 512 * 1024
"""Bytes."""
MIB = 1024 * 1024


class Upload(Protocol):
    """What comes from a client."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes; none at the end."""


def keep(work: Work, import_id: int, upload: Upload, largest: int) -> None:
    """Keep what comes, up to `largest` bytes; no connection is held while the client sends.

    Raises:
        TooLargeError: when more comes.
    """
    for number, content in enumerate(_pieces(upload, largest)):
        piece = insert(ItemImportPiece).values(import_id=import_id, number=number, content=content)
        work.transact(partial(Connection.execute, statement=piece))


def stream(look: Look, import_id: int) -> ByteStream:
    """Return a kept file, which is read piece by piece, each with a connection of its own."""
    return io.BufferedReader(_Kept(look, import_id), LARGEST_PIECE)


def remove(connection: Connection, import_id: int) -> None:
    """Keep a file no longer."""
    connection.execute(delete(ItemImportPiece).where(ItemImportPiece.import_id == import_id))


def _pieces(upload: Upload, largest: int) -> Iterator[bytes]:
    piece, length = bytearray(), 0
    while content := upload.read(64 * 1024):
        length += len(content)
        if length > largest:
            raise TooLargeError(f"A file may have {largest / MIB:g} MiB; split it, or use `poolproof import`.")
        piece += content
        if len(piece) >= LARGEST_PIECE:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


class _Kept(io.RawIOBase):
    def __init__(self, look: Look, import_id: int) -> None:
        super().__init__()
        self._look = look
        self._import_id = import_id
        self._number = 0
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = memoryview(self._next())
        given = min(len(buffer), len(self._rest))
        buffer[:given] = self._rest[:given]
        self._rest = self._rest[given:]
        return given

    def _next(self) -> bytes:
        piece = select(ItemImportPiece.content)
        of_this = ItemImportPiece.import_id == self._import_id, ItemImportPiece.number == self._number
        with self._look() as connection:
            content = connection.execute(piece.where(*of_this)).scalar_one_or_none()
        self._number += 1
        return bytes(content or b"")
