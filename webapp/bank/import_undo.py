"""An import is undone as one unit: what it added goes, what it changed is again what it was.

What somebody has changed since stays, and so does what a quiz is built from. It is done in batches, and may be
done again at any time: what is undone already is not undone twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from sqlalchemy import Column, Connection, Select, and_, delete, exists, not_, or_, select, update
from sqlalchemy.exc import IntegrityError

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.bank import bulk_insert, import_jobs, upload_chunks
from webapp.bank.import_jobs import ImportJob, ImportState
from webapp.bank.imports import MAX_REPORTED
from webapp.bank.item_draft import ItemDraft
from webapp.bank.items import column_values
from webapp.bank.models import Item, ItemImport, ItemVersion
from webapp.errors import BusyError
from webapp.extensions import Base

CHANGED_SINCE = "It was changed after the import."
IN_USE = "A quiz is built from it."
TAKEN = "The bank has what it was as another item."
_PRESERVED_COLUMNS = ("collected_at", "original")


def undo(work: UnitOfWork, import_id: int) -> ImportJob:
    """Undo an import and return it; its register names the items that stay as they are.

    Raises:
        NotFoundError: when there is no such import.
        ImportStateError: when it has stored nothing yet.
        BusyError: when quizzes are built from its items all the time.
    """
    work.run_in_transaction(lambda connection: _start(connection, import_id))
    for step in (_remove_added, _restore_changed):
        after: int | None = 0
        while after is not None:
            after = work.run_in_transaction(partial(step, import_id=import_id, after=after))
    with work.read() as connection:
        return import_jobs.find(connection, import_id)


def _start(connection: Connection, import_id: int) -> None:
    """Say that it is undone, and which items stay; once, because undoing makes versions of its own."""
    state = import_jobs.lock(connection, import_id, ImportState.IMPORTING, ImportState.DONE, ImportState.UNDONE)
    if state is ImportState.UNDONE:
        return
    changed_since = select(ItemVersion.item_id).where(ItemVersion.import_id == import_id).distinct()
    in_use = _select_added(import_id).where(_is_in_use())
    stayed = [
        [item_id, reason]
        for query, column, reason in ((changed_since, ItemVersion.item_id, CHANGED_SINCE), (in_use, Item.id, IN_USE))
        for item_id in connection.execute(query.order_by(column).limit(MAX_REPORTED)).scalars()
    ]
    _record_skipped(connection, import_id, stayed)
    import_jobs.set_state(connection, import_id, ImportState.UNDONE)
    upload_chunks.remove(connection, import_id)


def _remove_added(connection: Connection, import_id: int, after: int) -> int | None:
    """Take a batch of what the import added out of the bank; return where to go on, None at the end."""
    batch = (
        _select_added(import_id)
        .where(Item.id > after, not_(_is_in_use()))
        .order_by(Item.id)
        .limit(bulk_insert.BATCH_SIZE)
    )
    ids: list[int] = list(connection.execute(batch.with_for_update()).scalars())
    if not ids:
        return None
    try:
        removed = connection.execute(delete(Item).where(Item.id.in_(ids))).rowcount
    except IntegrityError as error:
        raise BusyError("A quiz was built from one of the items in this moment; undo it again.") from error
    counted = update(ItemImport).where(ItemImport.id == import_id)
    connection.execute(counted.values(removed=ItemImport.removed + removed))
    return ids[-1]


def _restore_changed(connection: Connection, import_id: int, after: int) -> int | None:
    """Bring a batch of what the import changed back to what it was; return where to go on, None at the end."""
    was = ItemVersion.__table__
    batch = (
        select(*was.c)
        .join_from(Item, was, and_(was.c.item_id == Item.id, was.c.version == Item.version - 1))
        .where(Item.import_id == import_id, Item.version > 1, Item.id > after)
        .order_by(Item.id)
        .limit(bulk_insert.BATCH_SIZE)
    )
    before = {row.item_id: _previous_values(row._asdict()) for row in connection.execute(batch.with_for_update())}
    if not before:
        return None
    owned = select(Item.dedupe_key, Item.id).where(Item.dedupe_key.in_([one["dedupe_key"] for one in before.values()]))
    owners = {bytes(key): item_id for key, item_id in connection.execute(owned)}
    taken = {one for one, values in before.items() if owners.get(values["dedupe_key"], one) != one}
    bulk_insert.change(connection, {one: values for one, values in before.items() if one not in taken})
    _record_skipped(connection, import_id, [[one, TAKEN] for one in sorted(taken)])
    counted = update(ItemImport).where(ItemImport.id == import_id)
    connection.execute(counted.values(restored=ItemImport.restored + len(before) - len(taken)))
    last: int = max(before)
    return last


def _select_added(import_id: int) -> Select[int]:
    return select(Item.id).where(Item.import_id == import_id, Item.version == 1)


def _is_in_use() -> Any:
    """Return the condition that something points to the item that may not point to nothing; see `items.remove`."""
    return or_(*(exists().where(column == Item.id) for column in _referencing_columns()))


def _referencing_columns() -> Iterator[Column[Any]]:
    for table in Base.metadata.tables.values():
        for key in table.foreign_keys:
            if key.references(Item.__table__) and key.ondelete is None:  # type: ignore[arg-type]
                yield key.parent


def _previous_values(version: dict[str, Any]) -> dict[str, Any]:
    names = ItemDraft.__dataclass_fields__.keys() & version.keys()
    values = column_values(ItemDraft(**{name: version[name] for name in names}))
    return {name: value for name, value in values.items() if name not in _PRESERVED_COLUMNS}


def _record_skipped(connection: Connection, import_id: int, skipped: list[list[Any]]) -> None:
    if not skipped:
        return
    of_this = ItemImport.id == import_id
    details = dict(connection.execute(select(ItemImport.details).where(of_this)).scalar_one())
    told = [one for one in skipped if one not in details.get("stayed", [])]
    details["stayed"] = (details.get("stayed", []) + told)[:MAX_REPORTED]
    connection.execute(update(ItemImport).where(of_this).values(details=details))
