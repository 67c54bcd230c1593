"""The memory that an import takes."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.bank import bulk_insert, import_service, upload_chunks
from webapp.bank.import_jobs import ImportSpec
from webapp.bank.imports import Format

TRIVIA = ImportSpec("ada", "rivers", Format.OPENTRIVIAQA, "Water")
MAX_BYTES = 10 * 1024 * 1024
WRONG = "".join(f"{letter} no {letter * 480}\n" for letter in "BCDE")
RECORD_BYTES = 2000


_files = count()


class Endless(io.RawIOBase):
    """A file of so many valid records, generated as it is read."""

    def __init__(self, records: int) -> None:
        self._name = next(_files)
        self._generated = iter(self._lines(records))
        self._rest = b""

    def _lines(self, records: int) -> Iterator[bytes]:
        for number in range(records):
            yield f"#Q Is {number} a number of file {self._name}?\n^ yes\nA yes\n{WRONG}\n".encode()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._rest = self._rest or next(self._generated, b"")
        chunk = self._rest[: len(buffer)]
        buffer[: len(chunk)] = chunk
        self._rest = self._rest[len(chunk) :]
        return len(chunk)


def peak(operation: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        operation()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_file(work: UnitOfWork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_insert, "BATCH_SIZE", 20)
    monkeypatch.setattr(upload_chunks, "CHUNK_SIZE", 16 * 1024)

    def import_one(records: int) -> None:
        number = import_service.store_upload(work, TRIVIA, io.BufferedReader(Endless(records)), MAX_BYTES)
        assert import_service.dry_run(work, number).new == records
        assert import_service.run(work, number).new == records

    fewer, more = 8 * bulk_insert.BATCH_SIZE, 24 * bulk_insert.BATCH_SIZE
    import_one(bulk_insert.BATCH_SIZE)
    small = peak(lambda: import_one(fewer))
    large = peak(lambda: import_one(more))
    assert large - small < (more - fewer) * RECORD_BYTES / 4
