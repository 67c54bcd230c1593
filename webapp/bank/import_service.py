"""A kept file is looked at, and imported as one unit. On the background lane, one file at a time in each worker."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection

from poolproof import deadlines
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.bank import import_jobs, import_store, import_undo, imports, upload_chunks
from webapp.bank.formats.parse_result import Accepted, ByteStream, UnreadableError
from webapp.bank.import_jobs import ImportJob, ImportSpec, ImportState
from webapp.bank.import_store import DryRun, RecordResult
from webapp.bank.imports import BatchHandler, Format, ImportReport, RejectedCallback
from webapp.errors import BusyError, InvalidInputError

_lock = threading.Lock()


@contextmanager
def import_lock() -> Iterator[None]:
    """Do what takes long, with no deadline, unless another request of this process does so.

    Raises:
        BusyError: when one does: parsing two at once would only slow the players down.
    """
    if not _lock.acquire(blocking=False):
        raise BusyError("Another file is being imported just now. Nothing was done; please repeat the request.")
    try:
        with deadlines.without_deadline():
            yield
    finally:
        _lock.release()


def store_upload(work: UnitOfWork, spec: ImportSpec, upload: upload_chunks.Upload, max_bytes: int) -> int:
    """Keep a file that comes and return its import's number; of one that does not come whole nothing stays.

    Raises:
        TooLargeError: when it has more than `largest` bytes.
    """
    with deadlines.without_deadline():
        import_id = work.run_in_transaction(
            lambda connection: import_jobs.create(connection, spec, ImportState.RECEIVING)
        )
        try:
            upload_chunks.save(work, import_id, upload, max_bytes)
        except BaseException:
            work.run_in_transaction(lambda connection: import_jobs.discard(connection, import_id))
            raise
    return import_id


def process_upload(
    work: UnitOfWork,
    spec: ImportSpec,
    upload: upload_chunks.Upload,
    max_bytes: int,
    operation: Callable[[UnitOfWork, int], ImportJob],
) -> ImportJob:
    """Keep a file that comes and do `deed` with it, `check` or `carry_out`; who is sent away leaves nothing behind.

    Raises:
        TooLargeError: when it has more than `largest` bytes.
        BusyError: when this process imports another file.
        InvalidInputError: when it is not of its format.
    """
    import_id = store_upload(work, spec, upload, max_bytes)
    try:
        return operation(work, import_id)
    except BusyError:
        with deadlines.without_deadline():
            work.run_in_transaction(
                lambda connection: import_jobs.discard(connection, import_id, ImportState.RECEIVING)
            )
        raise


def dry_run(work: UnitOfWork, import_id: int) -> ImportJob:
    """Write into the register what importing a kept file would do.

    Raises:
        BusyError: when this process imports another file.
        InvalidInputError: when it is not of its format; then it is kept no longer.
    """
    with import_lock():
        report = ImportReport()
        try:
            _import_stored_file(work, import_id, DryRun(work.read), report)
        except UnreadableError as error:
            work.run_in_transaction(lambda connection: import_jobs.discard(connection, import_id))
            raise InvalidInputError(f"The file cannot be imported: {error}.") from error
        work.run_in_transaction(
            lambda connection: import_jobs.record_report(connection, import_id, ImportState.CHECKED, report)
        )
        return _load_job(work, import_id)


def run(work: UnitOfWork, import_id: int) -> ImportJob:
    """Import a kept file; one whose import was broken off is imported to its end.

    Raises:
        NotFoundError: when there is no such import.
        ImportStateError: when it is done already.
        BusyError: when this process imports another file.
        InvalidInputError: when it is not of its format; then nothing of it stays.
    """
    with import_lock():
        work.run_in_transaction(lambda connection: _mark_importing(connection, import_id))
        report = ImportReport()
        try:
            _import_stored_file(work, import_id, make_batch_handler(work, import_id), report)
        except UnreadableError as error:
            import_undo.undo(work, import_id)
            work.run_in_transaction(lambda connection: import_jobs.discard(connection, import_id))
            raise InvalidInputError(f"The file cannot be imported: {error}.") from error
        finish(work, import_id, report)
        return _load_job(work, import_id)


WRITER_THREADS = 4
"""Batches that a command has under way: the keys and words of some are made while the server has others."""


def import_stream(
    work: UnitOfWork,
    import_id: int,
    spec: ImportSpec,
    stream: ByteStream,
    *,
    report: ImportReport,
    on_rejected: RejectedCallback,
) -> None:
    """Import what a command reads, as the unit that it has begun; a reading error leaves what was before it.

    Raises:
        UnreadableError: when the file is not of its format.
        OSError: when it cannot be read.
    """
    # SQLite lets one write at a time; the others would only try again and again.
    writers = 0 if work.engine.dialect.name == "sqlite" else WRITER_THREADS
    try:
        records = imports.parse(spec.file_format, stream, spec.category)
        imports.import_records(records, make_batch_handler(work, import_id), report, on_rejected, writers=writers)
    finally:
        finish(work, import_id, report)


def make_batch_handler(work: UnitOfWork, import_id: int) -> BatchHandler:
    """Return a store that keeps what is new or changed as this import's, each batch in a transaction of its own."""

    def store(accepted: Sequence[Accepted]) -> list[RecordResult]:
        given = import_store.prepare(accepted)

        def deed(connection: Connection) -> list[RecordResult]:
            # Whoever undoes it in the meantime has the last word; other batches of it are in nobody's way.
            import_jobs.lock(connection, import_id, ImportState.IMPORTING, is_shared=True)
            return import_store.store(connection, given, import_id)

        return work.run_in_transaction(deed)

    return store


def finish(work: UnitOfWork, import_id: int, report: ImportReport) -> None:
    """Write down what an import has done; its file is kept no longer."""

    def deed(connection: Connection) -> None:
        import_jobs.lock(connection, import_id, ImportState.IMPORTING)
        import_jobs.record_report(connection, import_id, ImportState.DONE, report)
        upload_chunks.remove(connection, import_id)

    work.run_in_transaction(deed)


def _mark_importing(connection: Connection, import_id: int) -> None:
    import_jobs.lock(connection, import_id, ImportState.RECEIVING, ImportState.CHECKED, ImportState.IMPORTING)
    import_jobs.set_state(connection, import_id, ImportState.IMPORTING)


def _import_stored_file(work: UnitOfWork, import_id: int, handle_batch: BatchHandler, report: ImportReport) -> None:
    about = _load_job(work, import_id)
    opened = upload_chunks.open_file(work.read, import_id)
    imports.import_records(imports.parse(Format(about.file_format), opened, about.category), handle_batch, report)


def _load_job(work: UnitOfWork, import_id: int) -> ImportJob:
    with work.read() as connection:
        return import_jobs.find(connection, import_id)
