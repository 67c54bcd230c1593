"""The imports of files and their results. Each import is one unit, which can be undone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, case, delete, func, insert, select, update

from webapp.bank.formats.parse_result import Rejected
from webapp.bank.imports import Format, ImportReport, PossibleDuplicate, RecordCounts
from webapp.bank.models import Item, ItemImport, ItemImportChunk
from webapp.db.page import Page, page_of
from webapp.db.timestamps import seconds_ago, utc_now
from webapp.errors import ImportStateError, NotFoundError
from webapp.messages import message

FILE_TTL = 24 * 3600
"""Seconds that an uploaded file is kept for its import."""
MAX_FILE_NAME_LENGTH = 200


class ImportState(StrEnum):
    """The state of an import."""

    RECEIVING = "receiving"
    CHECKED = "checked"
    IMPORTING = "importing"
    DONE = "done"
    UNDONE = "undone"


@dataclass(frozen=True)
class ImportSpec:
    """A file to import; `account` is None for a command."""

    account: str | None
    file_name: str
    file_format: Format
    category: str | None = None


@dataclass(frozen=True)
class SkippedItem:
    """An item that undoing an import has not changed, and the reason."""

    item: int
    reason: str


@dataclass(frozen=True)
class ImportJob(RecordCounts):
    """A stored import; of rejected records, possible duplicates and skipped items the first are listed."""

    id: int
    at: datetime
    account: str | None
    file_name: str
    file_format: str
    category: str | None
    state: ImportState
    new: int
    changed: int
    duplicate: int
    possible: int
    repaired: int
    rejected: int
    removed: int
    restored: int
    reasons: tuple[Rejected, ...] = ()
    resembling: tuple[PossibleDuplicate, ...] = ()
    stayed: tuple[SkippedItem, ...] = ()


_COUNTS = ("new", "changed", "duplicate", "possible", "repaired", "rejected", "removed", "restored")
_LIST_COLUMNS = [column for column in ItemImport.__table__.c if column.name != "details"]


def create(connection: Connection, spec: ImportSpec, state: ImportState) -> int:
    """Create an import and return its number; delete the uploaded files that are older than a day."""
    _discard_expired_files(connection)
    values = {name: getattr(spec, name) for name in ("account", "file_format", "category")}
    result = connection.execute(
        insert(ItemImport).values(
            at=utc_now(), state=state, file_name=spec.file_name[:MAX_FILE_NAME_LENGTH] or "?", details={}, **values,
            **dict.fromkeys(_COUNTS, 0),
        )
    )  # fmt: skip
    import_id: int = result.inserted_primary_key[0]  # type: ignore[index]
    return import_id


def find(connection: Connection, import_id: int) -> ImportJob:
    """Return an import with its details.

    Raises:
        NotFoundError: when there is none, or its file has expired.
    """
    row = connection.execute(select(ItemImport.__table__).where(ItemImport.id == import_id)).one_or_none()
    if row is None:
        raise _not_found(import_id)
    return _to_job(row)


def list_latest(connection: Connection, before: int | None, limit: int) -> Page[ImportJob]:
    """Return imports, the latest first, without their details and without those whose upload is incomplete."""
    query = select(*_LIST_COLUMNS).where(ItemImport.state != ImportState.RECEIVING)
    if before is not None:
        query = query.where(ItemImport.id < before)
    rows = [_to_job(row) for row in connection.execute(query.order_by(ItemImport.id.desc()).limit(limit + 1))]
    return page_of(rows, limit, lambda job: job.id)


def lock(connection: Connection, import_id: int, *states: ImportState, is_shared: bool = False) -> ImportState:
    """Lock an import until the transaction ends and return its state; a shared lock allows other shared locks.

    Raises:
        NotFoundError: when there is no such import.
        ImportStateError: when it is in none of `states`.
    """
    query = select(ItemImport.state).where(ItemImport.id == import_id).with_for_update(read=is_shared)
    state = connection.execute(query).scalar_one_or_none()
    if state is None:
        raise _not_found(import_id)
    if state not in states:
        raise ImportStateError(
            message(
                "Import %(number)s is %(state)s; this is for one that is %(states)s.",
                number=import_id,
                state=message(state),
                states=" or ".join(states),
            )
        )
    return ImportState(state)


def set_state(connection: Connection, import_id: int, state: ImportState) -> None:
    """Set the state of an import."""
    connection.execute(update(ItemImport).where(ItemImport.id == import_id).values(state=state))


def record_report(connection: Connection, import_id: int, state: ImportState, report: ImportReport) -> None:
    """Store the report of a dry run or of an import."""
    details = {
        "reasons": [[rejected.line, rejected.reason] for rejected in report.reasons],
        "resembling": [[possible.line, possible.stem, possible.item] for possible in report.resembling],
    }
    counts = {name: getattr(report, name) for name in _COUNTS if hasattr(report, name)}
    if state is ImportState.DONE:
        counts |= _count_stored(connection, import_id, report)
    statement = update(ItemImport).where(ItemImport.id == import_id)
    connection.execute(statement.values(state=state, details=details, **counts))


def discard(connection: Connection, import_id: int, *states: ImportState) -> None:
    """Delete an import that has stored nothing, and its file; with `states`, only when it is in one of them."""
    statement = delete(ItemImport).where(ItemImport.id == import_id)
    connection.execute(statement.where(ItemImport.state.in_(states)) if states else statement)


def _discard_expired_files(connection: Connection) -> None:
    """Delete files that are older than a day; an interrupted import that was not continued counts as done."""
    is_old = ItemImport.at < seconds_ago(FILE_TTL)
    is_not_imported = ItemImport.state.in_([ImportState.RECEIVING, ImportState.CHECKED])
    connection.execute(delete(ItemImport).where(is_not_imported, is_old))
    is_interrupted = ItemImport.id.in_(select(ItemImportChunk.import_id))
    connection.execute(update(ItemImport).where(is_interrupted, is_old).values(state=ImportState.DONE))
    is_of_old_import = ItemImportChunk.import_id.in_(select(ItemImport.id).where(is_old))
    connection.execute(delete(ItemImportChunk).where(is_of_old_import))


def _count_stored(connection: Connection, import_id: int, report: ImportReport) -> dict[str, int]:
    """Count the items that an import has stored; the report of a continued import calls the earlier ones duplicates."""
    is_first_version = case((Item.version == 1, 1), else_=0)
    query = select(func.count(), func.sum(is_first_version)).where(Item.import_id == import_id)
    stored, added = connection.execute(query).one()
    new = max(report.new, int(added or 0))
    changed = max(report.changed, int(stored) - int(added or 0))
    return {"new": new, "changed": changed, "duplicate": report.records - report.rejected - new - changed}


def _not_found(import_id: int) -> NotFoundError:
    return NotFoundError(
        message("There is no import %(number)s; a file that is not imported is kept for a day.", number=import_id)
    )


def _to_job(row: Row[*tuple[Any, ...]]) -> ImportJob:
    columns = row._asdict()
    details = columns.pop("details", {})
    return ImportJob(
        **columns | {"state": ImportState(columns["state"])},
        reasons=tuple(Rejected(*values) for values in details.get("reasons", ())),
        resembling=tuple(PossibleDuplicate(*values) for values in details.get("resembling", ())),
        stayed=tuple(SkippedItem(*values) for values in details.get("stayed", ())),
    )
