"""Changes of many items at once: a tag, a category, the deletion of what no quiz uses.

Each is done in batches of ids, each batch in one transaction with a fixed number of statements. What a batch has
changed already no longer needs the change, so a repeat after an error continues.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, literal, not_, or_, select, update

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.bank import item_history
from webapp.bank.bulk_insert import BATCH_SIZE
from webapp.bank.import_undo import is_in_use
from webapp.bank.item_draft import MAX_CATEGORY_LENGTH, MAX_TAGS, clean_tags, tag_errors
from webapp.bank.items import Filters, match_filters
from webapp.bank.models import Item, ItemTag
from webapp.db.timestamps import utc_now
from webapp.errors import InvalidInputError
from webapp.web.validators import is_storable


class BulkAction(StrEnum):
    """What is done to the items."""

    ADD_TAG = "tag"
    REMOVE_TAG = "untag"
    SET_CATEGORY = "category"
    DELETE_UNUSED = "delete"


@dataclass(frozen=True)
class Selection:
    """The items of these ids; without ids, all that the filters find."""

    ids: tuple[int, ...] = ()
    filters: Filters = Filters()  # noqa: RUF009 - frozen


@dataclass(frozen=True)
class BulkChange:
    """A change of the selected items; `value` is the tag or the category, empty for no category."""

    action: BulkAction
    selection: Selection
    value: str = ""


def validate(change: BulkChange) -> BulkChange:
    """Return the change with its value as it is stored.

    Raises:
        InvalidInputError: when its value is no tag or no category.
    """
    value = " ".join(change.value.split())
    if change.action in {BulkAction.ADD_TAG, BulkAction.REMOVE_TAG}:
        errors = [reason for _, reason in tag_errors(clean_tags([value]))] if value else ["Name a tag."]
    else:
        errors = [] if len(value) <= MAX_CATEGORY_LENGTH and is_storable(value) else ["This is no category."]
    if errors:
        raise InvalidInputError(" ".join(errors))
    return BulkChange(change.action, change.selection, value)


def count_affected(connection: Connection, change: BulkChange) -> int:
    """Return how many items the change would change now."""
    count: int = connection.execute(
        select(func.count()).select_from(Item).where(*_conditions(connection, change))
    ).scalar_one()
    return count


def count_selected(connection: Connection, change: BulkChange) -> int:
    """Return how many items are selected, whether the change changes them or not."""
    conditions = _match_selection(connection, change.selection)
    count: int = connection.execute(select(func.count()).select_from(Item).where(*conditions)).scalar_one()
    return count


def run(work: UnitOfWork, change: BulkChange) -> int:
    """Change the items, and return how many were changed."""
    changed, after = 0, 0
    while True:
        ids = work.run_in_transaction(partial(_change_batch, change=change, after=after))
        if not ids:
            return changed
        changed += len(ids)
        after = ids[-1]


def _change_batch(connection: Connection, change: BulkChange, after: int) -> list[int]:
    """Change the next batch of items, and return their ids in order."""
    query = select(Item.id).where(Item.id > after, *_conditions(connection, change)).order_by(Item.id)
    # The rows are locked so that another change of these items waits, and no quiz takes one that is being deleted.
    ids = list(connection.execute(query.limit(BATCH_SIZE).with_for_update()).scalars())
    if ids:
        _WRITERS[change.action](connection, ids, change.value)
    return ids


def _add_tag(connection: Connection, ids: Sequence[int], tag: str) -> None:
    rows = select(Item.id, literal(tag)).where(Item.id.in_(ids))
    connection.execute(insert(ItemTag).from_select(["item_id", "tag"], rows))


def _remove_tag(connection: Connection, ids: Sequence[int], tag: str) -> None:
    connection.execute(delete(ItemTag).where(ItemTag.item_id.in_(ids), ItemTag.tag == tag))


def _set_category(connection: Connection, ids: Sequence[int], category: str) -> None:
    item_history.record_versions(connection, ids)
    values = {"category": category or None, "import_id": None, "fingerprints": None, "changed_at": utc_now()}
    connection.execute(update(Item).where(Item.id.in_(ids)).values(version=Item.version + 1, **values))


def _delete(connection: Connection, ids: Sequence[int], _value: str) -> None:
    connection.execute(delete(Item).where(Item.id.in_(ids)))


_WRITERS: dict[BulkAction, Callable[[Connection, Sequence[int], str], None]] = {
    BulkAction.ADD_TAG: _add_tag,
    BulkAction.REMOVE_TAG: _remove_tag,
    BulkAction.SET_CATEGORY: _set_category,
    BulkAction.DELETE_UNUSED: _delete,
}


def _match_selection(connection: Connection, selection: Selection) -> list[ColumnElement[bool]]:
    if selection.ids:
        return [Item.id.in_(selection.ids)]
    return match_filters(connection.dialect.name, selection.filters)


def _conditions(connection: Connection, change: BulkChange) -> list[ColumnElement[bool]]:
    """Return the conditions of the items that the change changes."""
    return [*_match_selection(connection, change.selection), _needs_change(change)]


def _needs_change(change: BulkChange) -> ColumnElement[bool]:
    tagged = select(ItemTag.item_id).where(ItemTag.item_id == Item.id, ItemTag.tag == change.value).exists()
    match change.action:
        case BulkAction.ADD_TAG:
            count = select(func.count()).where(ItemTag.item_id == Item.id).scalar_subquery()
            return and_(not_(tagged), count < MAX_TAGS)
        case BulkAction.REMOVE_TAG:
            return tagged
        case BulkAction.SET_CATEGORY:
            other = Item.category != change.value if change.value else Item.category.is_not(None)
            return or_(other, Item.category.is_(None)) if change.value else other
        case BulkAction.DELETE_UNUSED:
            return not_(is_in_use())
