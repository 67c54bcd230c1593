"""Undo an import as one unit: the items that it added are removed, the items that it changed are restored.

Items that were changed since stay as they are, and so do items that a quiz is built from. It is done in batches and
may be repeated at any time: what is already undone is not undone twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from sqlalchemy import Column, Connection, Select, and_, delete, exists, not_, or_, select, update
from sqlalchemy.exc import IntegrityError

from poolproof import deadlines
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.bank import bulk_insert, import_jobs, upload_chunks
from webapp.bank.import_jobs import ImportJob, ImportState
from webapp.bank.imports import MAX_REPORTED
from webapp.bank.item_draft import ItemDraft
from webapp.bank.items import changed_values, column_values
from webapp.bank.models import Item, ItemImport, ItemVersion
from webapp.bank.position_bits import from_bits
from webapp.errors import BusyError
from webapp.extensions import Base

CHANGED_SINCE = "It was changed after the import."
IN_USE = "A quiz is built from it."
TAKEN = "The bank has its former content as another item."


def undo(work: UnitOfWork, import_id: int) -> ImportJob:
    """Undo an import and return it; its details list the items that stay as they are.

    Raises:
        NotFoundError: when there is no such import.
        ImportStateError: when it has stored nothing yet.
        BusyError: when a quiz was built from one of its items at the same time.
    """
    work.run_in_transaction(lambda connection: _start(connection, import_id))
    # What has begun takes as long as the import was; only the first step is bounded by a request's deadline.
    with deadlines.without_deadline():
        for step in (_remove_added, _restore_changed):
            after: int | None = 0
            while after is not None:
                after = work.run_in_transaction(partial(step, import_id=import_id, after=after))
        with work.read() as connection:
            return import_jobs.find(connection, import_id)


def _start(connection: Connection, import_id: int) -> None:
    """Mark the import as undone and list the items that stay; only once, because undoing makes new versions itself."""
    state = import_jobs.lock(connection, import_id, ImportState.IMPORTING, ImportState.DONE, ImportState.UNDONE)
    if state is ImportState.UNDONE:
        return
    changed_since = select(ItemVersion.item_id).where(ItemVersion.import_id == import_id).distinct()
    in_use = _select_added(import_id).where(is_in_use())
    skipped = [
        [item_id, reason]
        for query, column, reason in ((changed_since, ItemVersion.item_id, CHANGED_SINCE), (in_use, Item.id, IN_USE))
        for item_id in connection.execute(query.order_by(column).limit(MAX_REPORTED)).scalars()
    ]
    _record_skipped(connection, import_id, skipped)
    import_jobs.set_state(connection, import_id, ImportState.UNDONE)
    upload_chunks.remove(connection, import_id)


def _remove_added(connection: Connection, import_id: int, after: int) -> int | None:
    """Remove a batch of the items that the import added; return the id to continue after, None at the end."""
    batch = (
        _select_added(import_id)
        .where(Item.id > after, not_(is_in_use()))
        .order_by(Item.id)
        .limit(bulk_insert.BATCH_SIZE)
    )
    ids: list[int] = list(connection.execute(batch.with_for_update()).scalars())
    if not ids:
        return None
    try:
        removed = connection.execute(delete(Item).where(Item.id.in_(ids))).rowcount
    except IntegrityError as error:
        raise BusyError("A quiz was just built from one of the items.", "Undo it again; that is safe.") from error
    statement = update(ItemImport).where(ItemImport.id == import_id)
    connection.execute(statement.values(removed=ItemImport.removed + removed))
    return ids[-1]


def _restore_changed(connection: Connection, import_id: int, after: int) -> int | None:
    """Restore a batch of the items that the import changed; return the id to continue after, None at the end."""
    past = ItemVersion.__table__
    batch = (
        select(*past.c)
        .join_from(Item, past, and_(past.c.item_id == Item.id, past.c.version == Item.version - 1))
        .where(Item.import_id == import_id, Item.version > 1, Item.id > after)
        .order_by(Item.id)
        .limit(bulk_insert.BATCH_SIZE)
    )
    changes = {row.item_id: _past_values(row._asdict()) for row in connection.execute(batch.with_for_update())}
    if not changes:
        return None
    last: int = max(changes)
    taken = _find_taken(connection, changes)
    restored = {item_id: values for item_id, values in changes.items() if item_id not in taken}
    bulk_insert.change(connection, restored)
    _record_skipped(connection, import_id, [[item_id, TAKEN] for item_id in sorted(taken)])
    statement = update(ItemImport).where(ItemImport.id == import_id)
    connection.execute(statement.values(restored=ItemImport.restored + len(restored)))
    return last


def _find_taken(connection: Connection, changes: dict[int, dict[str, Any]]) -> set[int]:
    """Return the items whose past content another item has now."""
    keys = [values["dedupe_key"] for values in changes.values()]
    query = select(Item.dedupe_key, Item.id).where(Item.dedupe_key.in_(keys))
    owners = {bytes(key): item_id for key, item_id in connection.execute(query)}
    return {item_id for item_id, values in changes.items() if owners.get(values["dedupe_key"], item_id) != item_id}


def _select_added(import_id: int) -> Select[int]:
    return select(Item.id).where(Item.import_id == import_id, Item.version == 1)


def is_in_use() -> Any:
    """Return the condition that a foreign key which forbids deletion refers to the item; see `items.remove`."""
    return or_(*(exists().where(column == Item.id) for column in _referencing_columns()))


def _referencing_columns() -> Iterator[Column[Any]]:
    for table in Base.metadata.tables.values():
        for key in table.foreign_keys:
            if key.references(Item.__table__) and key.ondelete is None:  # type: ignore[arg-type]
                yield key.parent


def _past_values(version: dict[str, Any]) -> dict[str, Any]:
    names = ItemDraft.__dataclass_fields__.keys() & version.keys()
    values = {name: version[name] for name in names} | {"pinned": from_bits(version["pinned"])}
    return changed_values(column_values(ItemDraft(**values)))


def _record_skipped(connection: Connection, import_id: int, skipped: list[list[Any]]) -> None:
    if not skipped:
        return
    is_this = ItemImport.id == import_id
    details = dict(connection.execute(select(ItemImport.details).where(is_this)).scalar_one())
    listed = details.get("stayed", [])
    details["stayed"] = (listed + [each for each in skipped if each not in listed])[:MAX_REPORTED]
    connection.execute(update(ItemImport).where(is_this).values(details=details))
