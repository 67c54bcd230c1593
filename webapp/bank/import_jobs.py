"""The register of imports: which file, by whom, what became of its records. Each is one unit, which can be undone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, case, delete, func, insert, select, update

from webapp.bank.formats.parse_result import Rejected
from webapp.bank.imports import Format, ImportReport, PossibleDuplicate
from webapp.bank.models import Item, ItemImport, ItemImportChunk
from webapp.db.page import Page, page_of
from webapp.db.timestamps import seconds_ago, utc_now
from webapp.errors import ImportStateError, NotFoundError

FILE_TTL = 24 * 3600
"""Seconds that a file waits for its import."""
MAX_FILE_NAME_LENGTH = 200


class ImportState(StrEnum):
    """Where an import is."""

    RECEIVING = "receiving"
    CHECKED = "checked"
    IMPORTING = "importing"
    DONE = "done"
    UNDONE = "undone"


@dataclass(frozen=True)
class ImportSpec:
    """What is to be imported; `account` is None for a command."""

    account: str | None
    file_name: str
    file_format: Format
    category: str | None = None


@dataclass(frozen=True)
class SkippedItem:
    """An item that undoing has left as it is, and why."""

    item: int
    reason: str


@dataclass(frozen=True)
class ImportJob:
    """An import as the register has it; the first of the records and items that are worth telling of are named."""

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

    @property
    def records(self) -> int:
        """How many records the file has."""
        return self.new + self.changed + self.duplicate + self.rejected


_COUNTS = ("new", "changed", "duplicate", "possible", "repaired", "rejected", "removed", "restored")
_LIST_COLUMNS = [column for column in ItemImport.__table__.c if column.name != "details"]


def create(connection: Connection, spec: ImportSpec, state: ImportState) -> int:
    """Enter an import and return its number; files that waited for a day are forgotten."""
    _discard_expired_files(connection)
    values = {name: getattr(spec, name) for name in ("account", "file_format", "category")}
    entered = connection.execute(
        insert(ItemImport).values(
            at=utc_now(), state=state, file_name=spec.file_name[:MAX_FILE_NAME_LENGTH] or "?", details={}, **values,
            **dict.fromkeys(_COUNTS, 0),
        )
    )  # fmt: skip
    import_id: int = entered.inserted_primary_key[0]  # type: ignore[index]
    return import_id


def find(connection: Connection, import_id: int) -> ImportJob:
    """Return an import with its details.

    Raises:
        NotFoundError: when there is none, or its file has waited for too long.
    """
    row = connection.execute(select(ItemImport.__table__).where(ItemImport.id == import_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no import {import_id}; a file that is not imported is kept for a day.")
    return _to_job(row)


def list_latest(connection: Connection, before: int | None, limit: int) -> Page[ImportJob]:
    """Return imports, the latest first, without their details; not those whose file is still coming."""
    query = select(*_LIST_COLUMNS).where(ItemImport.state != ImportState.RECEIVING)
    if before is not None:
        query = query.where(ItemImport.id < before)
    rows = [_to_job(row) for row in connection.execute(query.order_by(ItemImport.id.desc()).limit(limit + 1))]
    return page_of(rows, limit, lambda job: job.id)


def lock(connection: Connection, import_id: int, *states: ImportState, is_shared: bool = False) -> ImportState:
    """Return the state, which stays until the transaction ends; others may share that, but not change it.

    Raises:
        NotFoundError: when there is no such import.
        ImportStateError: when it is in none of `states`.
    """
    found = select(ItemImport.state).where(ItemImport.id == import_id).with_for_update(read=is_shared)
    state = connection.execute(found).scalar_one_or_none()
    if state is None:
        raise NotFoundError(f"There is no import {import_id}; a file that is not imported is kept for a day.")
    if state not in states:
        raise ImportStateError(f"Import {import_id} is {state}; this is for one that is {' or '.join(states)}.")
    return ImportState(state)


def set_state(connection: Connection, import_id: int, state: ImportState) -> None:
    """Write down that an import is in this state now."""
    connection.execute(update(ItemImport).where(ItemImport.id == import_id).values(state=state))


def record_report(connection: Connection, import_id: int, state: ImportState, report: ImportReport) -> None:
    """Write down what a dry run foretells, or what an import has done."""
    details = {
        "reasons": [[one.line, one.reason] for one in report.reasons],
        "resembling": [[one.line, one.stem, one.item] for one in report.resembling],
    }
    counts = {name: getattr(report, name) for name in _COUNTS if hasattr(report, name)}
    if state is ImportState.DONE:
        counts |= _count_stored(connection, import_id, report)
    statement = update(ItemImport).where(ItemImport.id == import_id)
    connection.execute(statement.values(state=state, details=details, **counts))


def discard(connection: Connection, import_id: int, *states: ImportState) -> None:
    """Strike out an import that has stored nothing, and its file; where `states` are named, only in one of them."""
    statement = delete(ItemImport).where(ItemImport.id == import_id)
    connection.execute(statement.where(ItemImport.state.in_(states)) if states else statement)


def _discard_expired_files(connection: Connection) -> None:
    """Forget files that have waited for a day; an import that was broken off and that nobody took up is what it is."""
    is_old = ItemImport.at < seconds_ago(FILE_TTL)
    waited = ItemImport.state.in_([ImportState.RECEIVING, ImportState.CHECKED])
    connection.execute(delete(ItemImport).where(waited, is_old))
    broken_off = ItemImport.id.in_(select(ItemImportChunk.import_id))
    connection.execute(update(ItemImport).where(broken_off, is_old).values(state=ImportState.DONE))
    old = ItemImportChunk.import_id.in_(select(ItemImport.id).where(is_old))
    connection.execute(delete(ItemImportChunk).where(old))


def _count_stored(connection: Connection, import_id: int, report: ImportReport) -> dict[str, int]:
    """Count what an import has made, also where it was broken off and done again: then some of it looked known."""
    versions = case((Item.version == 1, 1), else_=0)
    found = connection.execute(select(func.count(), func.sum(versions)).where(Item.import_id == import_id)).one()
    new = max(report.new, int(found[1] or 0))
    changed = max(report.changed, int(found[0]) - int(found[1] or 0))
    return {"new": new, "changed": changed, "duplicate": report.records - report.rejected - new - changed}


def _to_job(row: Row[*tuple[Any, ...]]) -> ImportJob:
    values = row._asdict()
    details = values.pop("details", {})
    return ImportJob(
        **values | {"state": ImportState(values["state"])},
        reasons=tuple(Rejected(*one) for one in details.get("reasons", ())),
        resembling=tuple(PossibleDuplicate(*one) for one in details.get("resembling", ())),
        stayed=tuple(SkippedItem(*one) for one in details.get("stayed", ())),
    )
