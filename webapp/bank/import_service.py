"""The dry run and the import of an uploaded file, on the background lane, one file at a time in each process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection

from poolproof import deadlines
from poolproof.transactions import outcomes
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.bank import import_jobs, import_store, import_undo, imports, upload_chunks
from webapp.bank.formats.parse_result import Accepted, ByteStream, UnreadableError
from webapp.bank.import_jobs import ImportJob, ImportSpec, ImportState
from webapp.bank.import_store import DryRun, RecordResult
from webapp.bank.imports import BatchHandler, Format, ImportReport, RejectedCallback
from webapp.errors import BusyError, InvalidInputError
from webapp.messages import message

_lock = threading.Lock()


@contextmanager
def import_lock() -> Iterator[None]:
    """Allow one long operation of this process at a time.

    Raises:
        BusyError: when another request has the lock: parsing two files at once would only slow the players down.
    """
    if not _lock.acquire(blocking=False):
        raise BusyError("Another file is being imported just now.")
    try:
        yield
    finally:
        _lock.release()


def create(connection: Connection, spec: ImportSpec) -> int:
    """Create an import whose file is about to come; return its number."""
    return import_jobs.create(connection, spec, ImportState.RECEIVING)


def store_upload(
    work: UnitOfWork,
    spec: ImportSpec,
    upload: upload_chunks.Upload,
    max_bytes: int,
    *,
    import_id: int | None = None,
) -> int:
    """Store an upload and return its import's number; nothing of an incomplete upload stays.

    `import_id` is the number of an import that the caller has created already. The first step is bounded by the
    request's deadline, so that a suspended lane is not waited for longer; what has begun takes as long as its file is.

    Raises:
        TooLargeError: when it has more than `max_bytes`.
    """
    number = import_id or work.run_in_transaction(lambda connection: create(connection, spec))
    with deadlines.without_deadline():
        try:
            upload_chunks.save(work, number, upload, max_bytes)
        except BaseException:
            work.run_in_transaction(lambda connection: import_jobs.discard(connection, number))
            outcomes.record_undone()
            raise
    return number


def process_upload(
    work: UnitOfWork,
    spec: ImportSpec,
    upload: upload_chunks.Upload,
    max_bytes: int,
    operation: Callable[[UnitOfWork, int], ImportJob],
    *,
    import_id: int | None = None,
) -> ImportJob:
    """Store an upload and apply `operation` to it, `dry_run` or `run`; when that is busy, delete the upload.

    Raises:
        TooLargeError: when it has more than `max_bytes`.
        BusyError: when this process imports another file.
        InvalidInputError: when it is not of its format.
    """
    number = store_upload(work, spec, upload, max_bytes, import_id=import_id)
    with deadlines.without_deadline():
        try:
            return operation(work, number)
        except BusyError:
            work.run_in_transaction(lambda connection: import_jobs.discard(connection, number, ImportState.RECEIVING))
            outcomes.record_undone()
            raise


def dry_run(work: UnitOfWork, import_id: int) -> ImportJob:
    """Determine what importing a stored file would do, and store the report.

    Raises:
        BusyError: when this process imports another file.
        InvalidInputError: when it is not of its format; then it is deleted.
    """
    with import_lock():
        report = ImportReport()
        try:
            _import_stored_file(work, import_id, DryRun(work.read), report)
        except UnreadableError as error:
            raise _discard_unreadable(work, import_id, error) from error
        work.run_in_transaction(
            lambda connection: import_jobs.record_report(connection, import_id, ImportState.CHECKED, report)
        )
        return _load_job(work, import_id)


def run(work: UnitOfWork, import_id: int) -> ImportJob:
    """Import a stored file; an interrupted import is continued to its end.

    Only the first step is bounded by the request's deadline.

    Raises:
        NotFoundError: when there is no such import.
        ImportStateError: when it is already done.
        BusyError: when this process imports another file.
        InvalidInputError: when it is not of its format; then nothing of it stays.
    """
    with import_lock():
        work.run_in_transaction(lambda connection: _mark_importing(connection, import_id))
        with deadlines.without_deadline():
            return _run_marked(work, import_id)


def _run_marked(work: UnitOfWork, import_id: int) -> ImportJob:
    report = ImportReport()
    try:
        _import_stored_file(work, import_id, make_batch_handler(work, import_id), report)
    except UnreadableError as error:
        import_undo.undo(work, import_id)
        raise _discard_unreadable(work, import_id, error) from error
    finish(work, import_id, report)
    return _load_job(work, import_id)


WRITER_THREADS = 4
"""Batches that a command stores concurrently: keys and words of some are computed while the server stores others."""


def import_stream(
    work: UnitOfWork,
    import_id: int,
    spec: ImportSpec,
    stream: ByteStream,
    *,
    report: ImportReport,
    on_rejected: RejectedCallback,
) -> None:
    """Import the stream of a command as the import that it has created; records before a read error are kept.

    Raises:
        UnreadableError: when the file is not of its format.
        OSError: when it cannot be read.
    """
    # SQLite allows one writer at a time; the others would only retry.
    writers = 0 if work.engine.dialect.name == "sqlite" else WRITER_THREADS
    try:
        records = imports.parse(spec.file_format, stream, spec.category)
        imports.import_records(records, make_batch_handler(work, import_id), report, on_rejected, writers=writers)
    finally:
        finish(work, import_id, report)


def make_batch_handler(work: UnitOfWork, import_id: int) -> BatchHandler:
    """Return a handler that stores new and changed items for this import, each batch in a transaction of its own."""

    def handle_batch(accepted: Sequence[Accepted]) -> list[RecordResult]:
        prepared_batch = import_store.prepare(accepted)

        def store(connection: Connection) -> list[RecordResult]:
            # Fails when the import was undone in the meantime; the shared lock lets its other batches run concurrently.
            import_jobs.lock(connection, import_id, ImportState.IMPORTING, is_shared=True)
            return import_store.store(connection, prepared_batch, import_id)

        return work.run_in_transaction(store)

    return handle_batch


def finish(work: UnitOfWork, import_id: int, report: ImportReport) -> None:
    """Store the report of a finished import, and delete its file."""

    def record(connection: Connection) -> None:
        import_jobs.lock(connection, import_id, ImportState.IMPORTING)
        import_jobs.record_report(connection, import_id, ImportState.DONE, report)
        upload_chunks.remove(connection, import_id)

    work.run_in_transaction(record)


def _discard_unreadable(work: UnitOfWork, import_id: int, error: UnreadableError) -> InvalidInputError:
    """Delete the import of a file that is not of its format, and return the error to raise."""
    work.run_in_transaction(lambda connection: import_jobs.discard(connection, import_id))
    return InvalidInputError(message("The file cannot be imported: %(reason)s.", reason=error))


def _mark_importing(connection: Connection, import_id: int) -> None:
    import_jobs.lock(connection, import_id, ImportState.RECEIVING, ImportState.CHECKED, ImportState.IMPORTING)
    import_jobs.set_state(connection, import_id, ImportState.IMPORTING)


def _import_stored_file(work: UnitOfWork, import_id: int, handle_batch: BatchHandler, report: ImportReport) -> None:
    job = _load_job(work, import_id)
    stream = upload_chunks.open_file(work.read, import_id)
    imports.import_records(imports.parse(Format(job.file_format), stream, job.category), handle_batch, report)


def _load_job(work: UnitOfWork, import_id: int) -> ImportJob:
    with work.read() as connection:
        return import_jobs.find(connection, import_id)
