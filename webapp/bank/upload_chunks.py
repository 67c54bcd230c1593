"""An uploaded file between its dry run and its import: kept in pieces, so that any worker or machine can go on."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from typing import Any, Protocol

from sqlalchemy import Connection, delete, insert, select

from poolproof.transactions.unit_of_work import ConnectionFactory, UnitOfWork
from webapp.bank.formats.parse_result import ByteStream
from webapp.bank.models import ItemImportChunk
from webapp.errors import TooLargeError

CHUNK_SIZE = 512 * 1024
"""Bytes."""
MIB = 1024 * 1024


class Upload(Protocol):
    """What comes from a client."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes; none at the end."""


def save(work: UnitOfWork, import_id: int, upload: Upload, max_bytes: int) -> None:
    """Keep what comes, up to `largest` bytes; no connection is held while the client sends.

    Raises:
        TooLargeError: when more comes.
    """
    for number, content in enumerate(_read_chunks(upload, max_bytes)):
        piece = insert(ItemImportChunk).values(import_id=import_id, number=number, content=content)
        work.run_in_transaction(partial(Connection.execute, statement=piece))


def open_file(connect: ConnectionFactory, import_id: int) -> ByteStream:
    """Return a kept file, which is read piece by piece, each with a connection of its own."""
    return io.BufferedReader(_ChunkReader(connect, import_id), CHUNK_SIZE)


def remove(connection: Connection, import_id: int) -> None:
    """Keep a file no longer."""
    connection.execute(delete(ItemImportChunk).where(ItemImportChunk.import_id == import_id))


def _read_chunks(upload: Upload, max_bytes: int) -> Iterator[bytes]:
    piece, length = bytearray(), 0
    while content := upload.read(64 * 1024):
        length += len(content)
        if length > max_bytes:
            raise TooLargeError(f"A file may have {max_bytes / MIB:g} MiB; split it, or use `poolproof import`.")
        piece += content
        if len(piece) >= CHUNK_SIZE:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


class _ChunkReader(io.RawIOBase):
    def __init__(self, connect: ConnectionFactory, import_id: int) -> None:
        super().__init__()
        self._connect = connect
        self._import_id = import_id
        self._chunk_number = 0
        self._unread = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._unread:
            self._unread = memoryview(self._next_chunk())
        given = min(len(buffer), len(self._unread))
        buffer[:given] = self._unread[:given]
        self._unread = self._unread[given:]
        return given

    def _next_chunk(self) -> bytes:
        piece = select(ItemImportChunk.content)
        of_this = ItemImportChunk.import_id == self._import_id, ItemImportChunk.number == self._chunk_number
        with self._connect() as connection:
            content = connection.execute(piece.where(*of_this)).scalar_one_or_none()
        self._chunk_number += 1
        return bytes(content or b"")
