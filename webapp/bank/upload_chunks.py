"""The chunks of an uploaded file between its dry run and its import; in the database, so that any worker finds them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from typing import Any, Protocol

from sqlalchemy import Connection, delete, insert, select

from poolproof.transactions.unit_of_work import ConnectionFactory, UnitOfWork
from webapp.bank.formats.line_reader import MIB
from webapp.bank.formats.parse_result import ByteStream
from webapp.bank.models import ItemImportChunk
from webapp.errors import TooLargeError
from webapp.messages import message

CHUNK_SIZE = 512 * 1024
"""Bytes."""
READ_SIZE = 64 * 1024


class Upload(Protocol):
    """The body of a client's request."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes; none at the end."""


def save(work: UnitOfWork, import_id: int, upload: Upload, max_bytes: int) -> None:
    """Store an upload of up to `max_bytes`; no connection is held while the client sends.

    Raises:
        TooLargeError: when the upload is larger.
    """
    for number, content in enumerate(_read_chunks(upload, max_bytes)):
        statement = insert(ItemImportChunk).values(import_id=import_id, number=number, content=content)
        work.run_in_transaction(partial(Connection.execute, statement=statement))


def open_file(connect: ConnectionFactory, import_id: int) -> ByteStream:
    """Return a stored file, which is read chunk by chunk, each with a connection of its own."""
    return io.BufferedReader(_ChunkReader(connect, import_id), CHUNK_SIZE)


def remove(connection: Connection, import_id: int) -> None:
    """Delete a stored file."""
    connection.execute(delete(ItemImportChunk).where(ItemImportChunk.import_id == import_id))


def _read_chunks(upload: Upload, max_bytes: int) -> Iterator[bytes]:
    chunk, length = bytearray(), 0
    while content := upload.read(READ_SIZE):
        length += len(content)
        if length > max_bytes:
            raise TooLargeError(
                message(
                    "A file may have %(size)s MiB; split it, or use `poolproof items import`.",
                    size=format(max_bytes / MIB, "g"),
                )
            )
        chunk += content
        if len(chunk) >= CHUNK_SIZE:
            yield bytes(chunk)
            chunk.clear()
    if chunk:
        yield bytes(chunk)


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
        count = min(len(buffer), len(self._unread))
        buffer[:count] = self._unread[:count]
        self._unread = self._unread[count:]
        return count

    def _next_chunk(self) -> bytes:
        is_next = (ItemImportChunk.import_id == self._import_id, ItemImportChunk.number == self._chunk_number)
        with self._connect() as connection:
            content = connection.execute(select(ItemImportChunk.content).where(*is_next)).scalar_one_or_none()
        self._chunk_number += 1
        return bytes(content or b"")
