"""A kept file is looked at, and imported as one unit. On the background lane, one file at a time in each worker."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection

from webapp.bank import imports, pieces, register, storing, undoing
from webapp.bank.formats.records import Accepted, ByteStream, UnreadableError
from webapp.bank.imports import Format, Report, Store, Tell
from webapp.bank.register import About, Import, State
from webapp.bank.storing import DryRun, Fate
from webapp.errors import BusyError, InvalidInputError
from webapp.pooling import deadlines
from webapp.pooling.work import Work

_turn = threading.Lock()


@contextmanager
def alone() -> Iterator[None]:
    """Do what takes long, with no deadline, unless another request of this process does so.

    Raises:
        BusyError: when one does: parsing two at once would only slow the players down.
    """
    if not _turn.acquire(blocking=False):
        raise BusyError("Another file is being imported just now. Nothing was done; please repeat the request.")
    try:
        with deadlines.lifted():
            yield
    finally:
        _turn.release()


def receive(work: Work, about: About, upload: pieces.Upload, largest: int) -> int:
    """Keep a file that comes and return its import's number; of one that does not come whole nothing stays.

    Raises:
        TooLargeError: when it has more than `largest` bytes.
    """
    with deadlines.lifted():
        import_id = work.transact(lambda connection: register.begin(connection, about, State.RECEIVING))
        try:
            pieces.keep(work, import_id, upload, largest)
        except BaseException:
            work.transact(lambda connection: register.forget(connection, import_id))
            raise
    return import_id


def take(work: Work, about: About, upload: pieces.Upload, largest: int, deed: Callable[[Work, int], Import]) -> Import:
    """Keep a file that comes and do `deed` with it, `check` or `carry_out`; who is sent away leaves nothing behind.

    Raises:
        TooLargeError: when it has more than `largest` bytes.
        BusyError: when this process imports another file.
        InvalidInputError: when it is not of its format.
    """
    import_id = receive(work, about, upload, largest)
    try:
        return deed(work, import_id)
    except BusyError:
        with deadlines.lifted():
            work.transact(lambda connection: register.forget(connection, import_id, State.RECEIVING))
        raise


def check(work: Work, import_id: int) -> Import:
    """Write into the register what importing a kept file would do.

    Raises:
        BusyError: when this process imports another file.
        InvalidInputError: when it is not of its format; then it is kept no longer.
    """
    with alone():
        report = Report()
        try:
            _read(work, import_id, DryRun(work.read), report)
        except UnreadableError as error:
            work.transact(lambda connection: register.forget(connection, import_id))
            raise InvalidInputError(f"The file cannot be imported: {error}.") from error
        work.transact(lambda connection: register.note(connection, import_id, State.CHECKED, report))
        return _found(work, import_id)


def carry_out(work: Work, import_id: int) -> Import:
    """Import a kept file; one whose import was broken off is imported to its end.

    Raises:
        NotFoundError: when there is no such import.
        ImportStateError: when it is done already.
        BusyError: when this process imports another file.
        InvalidInputError: when it is not of its format; then nothing of it stays.
    """
    with alone():
        work.transact(lambda connection: _claim(connection, import_id))
        report = Report()
        try:
            _read(work, import_id, into(work, import_id), report)
        except UnreadableError as error:
            undoing.undo(work, import_id)
            work.transact(lambda connection: register.forget(connection, import_id))
            raise InvalidInputError(f"The file cannot be imported: {error}.") from error
        finish(work, import_id, report)
        return _found(work, import_id)


WRITERS = 4
"""Batches that a command has under way: the keys and words of some are made while the server has others."""


def import_stream(work: Work, import_id: int, about: About, stream: ByteStream, *, report: Report, tell: Tell) -> None:
    """Import what a command reads, as the unit that it has begun; a reading error leaves what was before it.

    Raises:
        UnreadableError: when the file is not of its format.
        OSError: when it cannot be read.
    """
    # SQLite lets one write at a time; the others would only try again and again.
    writers = 0 if work.engine.dialect.name == "sqlite" else WRITERS
    try:
        records = imports.parse(about.file_format, stream, about.category)
        imports.import_records(records, into(work, import_id), report, tell, writers=writers)
    finally:
        finish(work, import_id, report)


def into(work: Work, import_id: int) -> Store:
    """Return a store that keeps what is new or changed as this import's, each batch in a transaction of its own."""

    def store(accepted: Sequence[Accepted]) -> list[Fate]:
        given = storing.prepared(accepted)

        def deed(connection: Connection) -> list[Fate]:
            # Whoever undoes it in the meantime has the last word; other batches of it are in nobody's way.
            register.lock(connection, import_id, State.IMPORTING, is_shared=True)
            return storing.store(connection, given, import_id)

        return work.transact(deed)

    return store


def finish(work: Work, import_id: int, report: Report) -> None:
    """Write down what an import has done; its file is kept no longer."""

    def deed(connection: Connection) -> None:
        register.lock(connection, import_id, State.IMPORTING)
        register.note(connection, import_id, State.DONE, report)
        pieces.remove(connection, import_id)

    work.transact(deed)


def _claim(connection: Connection, import_id: int) -> None:
    register.lock(connection, import_id, State.RECEIVING, State.CHECKED, State.IMPORTING)
    register.move(connection, import_id, State.IMPORTING)


def _read(work: Work, import_id: int, store: Store, report: Report) -> None:
    about = _found(work, import_id)
    opened = pieces.stream(work.read, import_id)
    imports.import_records(imports.parse(Format(about.file_format), opened, about.category), store, report)


def _found(work: Work, import_id: int) -> Import:
    with work.read() as connection:
        return register.find(connection, import_id)
