"""Items: find, create, change, remove."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError

from webapp.bank import item_history, tags
from webapp.bank.deduplication import dedupe_key, stem_key
from webapp.bank.item_draft import OPTIONAL_FIELDS, PROVENANCE_FIELDS, ItemDraft, validate_draft
from webapp.bank.models import Item as ItemRow
from webapp.bank.position_bits import from_bits, to_bits
from webapp.bank.search import indexed_words, stem_has_words
from webapp.db.page import Page, page_of
from webapp.db.timestamps import utc_now
from webapp.errors import (
    DuplicateItemError,
    ItemInUseError,
    NotFoundError,
    VersionMismatchError,
)
from webapp.messages import message


@dataclass(frozen=True, kw_only=True)
class Item(ItemDraft):
    """An item of the bank."""

    id: int
    version: int
    created_at: datetime
    changed_at: datetime
    import_id: int | None = None
    """The import that made the present version; None when something else did."""


@dataclass(frozen=True)
class Filters:
    """Conditions of a search; None is no condition."""

    category: str | None = None
    difficulty: str | None = None
    kind: str | None = None
    words: str | None = None
    tag: str | None = None


MAX_MATCHING = 50_000
"""Ids that one query returns."""

_FIELDS = ("kind", "stem", *OPTIONAL_FIELDS)
_get_fields = attrgetter(*_FIELDS)
_HIDDEN_COLUMNS = {"dedupe_key", "stem_key", "words", "identity_key", "fingerprints"}
_ALL_COLUMNS = [column for column in ItemRow.__table__.c if column.name not in _HIDDEN_COLUMNS]
_LIST_COLUMNS = [column for column in _ALL_COLUMNS if column.name != "original"]


def column_values(draft: ItemDraft) -> dict[str, Any]:
    """Return a valid draft as the table's columns, without times and version, and with no import."""
    values: dict[str, Any] = dict(zip(_FIELDS, _get_fields(draft), strict=True))
    keys = {"dedupe_key": dedupe_key(draft.stem, draft.choices, draft.right), "stem_key": stem_key(draft.stem)}
    lists = {"choices": list(draft.choices), "right": list(draft.right), "pinned": to_bits(draft.pinned)}
    return values | lists | keys | {"words": indexed_words(draft.stem), "import_id": None}


def changed_values(values: dict[str, Any]) -> dict[str, Any]:
    """Return the columns that a change of an item writes: when and from what it was collected stays."""
    return {name: value for name, value in values.items() if name not in PROVENANCE_FIELDS}


def has_no_items(connection: Connection) -> bool:
    """Say whether the bank is empty."""
    return not connection.execute(select(exists(select(ItemRow.id)))).scalar_one()


def find(connection: Connection, item_id: int) -> Item:
    """Return an item with all its fields.

    Raises:
        NotFoundError: when there is none with this id.
    """
    row = connection.execute(select(*_ALL_COLUMNS).where(ItemRow.id == item_id)).one_or_none()
    if row is None:
        raise NotFoundError(message("There is no item %(item)s.", item=item_id))
    return _to_items(connection, [row])[0]


def find_many(connection: Connection, item_ids: Iterable[int]) -> dict[int, Item]:
    """Return the items that exist among these ids, in one statement."""
    ids = list(item_ids)
    if not ids:
        return {}
    rows = connection.execute(select(*_LIST_COLUMNS).where(ItemRow.id.in_(ids))).all()
    return {item.id: item for item in _to_items(connection, rows)}


def search(
    connection: Connection, filters: Filters, after: int | None, limit: int, *, with_original: bool = False
) -> Page[Item]:
    """Return the items that match all filters, by id, in pages that no insert or delete can shift.

    `original` is None unless it is asked for.
    """
    query = select(*(_ALL_COLUMNS if with_original else _LIST_COLUMNS))
    query = query.where(*match_filters(connection.dialect.name, filters))
    if after is not None:
        query = query.where(ItemRow.id > after)
    rows = connection.execute(query.order_by(ItemRow.id).limit(limit + 1)).all()
    return page_of(_to_items(connection, rows), limit, attrgetter("id"))


def match_filters(dialect: str, filters: Filters) -> list[ColumnElement[bool]]:
    """Return the conditions of a search."""
    conditions: list[ColumnElement[bool]] = [
        column == value
        for column, value in (
            (ItemRow.category, filters.category),
            (ItemRow.difficulty, filters.difficulty),
            (ItemRow.kind, filters.kind),
        )
        if value is not None
    ]
    if filters.tag is not None:
        conditions.append(tags.has_tag(filters.tag))
    if filters.words is not None:
        conditions.append(stem_has_words(dialect, filters.words))
    return conditions


def find_matching_ids(connection: Connection, filters: Filters, limit: int = MAX_MATCHING) -> Sequence[int]:
    """Return the ids of the items that match all filters, the first ones by id."""
    query = select(ItemRow.id).where(*match_filters(connection.dialect.name, filters))
    return connection.execute(query.order_by(ItemRow.id).limit(limit)).scalars().all()


def categories(connection: Connection) -> list[str]:
    """Return the categories in use, the first five hundred by name."""
    query = select(ItemRow.category).where(ItemRow.category.is_not(None)).distinct()
    return [name for name in connection.execute(query.order_by(ItemRow.category).limit(500)).scalars() if name]


def create(connection: Connection, draft: ItemDraft) -> Item:
    """Add an item.

    Raises:
        InvalidInputError: when it is not a valid item.
        DuplicateItemError: when the bank has the same one.
    """
    draft = validate_draft(draft)
    values = column_values(draft)
    try:
        result = connection.execute(
            insert(ItemRow).values(version=1, created_at=utc_now(), changed_at=utc_now(), **values)
        )
    except IntegrityError as error:
        raise _duplicate_error(connection, values["dedupe_key"]) from error
    item_id: int = result.inserted_primary_key[0]  # type: ignore[index]
    tags.add_tags(connection, {item_id: draft.tags})
    return find(connection, item_id)


def change(connection: Connection, item_id: int, draft: ItemDraft, expected_version: int) -> Item:
    """Replace an item, unless it was changed in the meantime. Published quizzes keep the content they were made with.

    The former content is kept as a version. From now on the item belongs to its author: no collection changes it.

    Raises:
        NotFoundError: when there is no such item.
        VersionMismatchError: when it is no longer at `expected_version`.
        InvalidInputError: when it is not a valid item.
        DuplicateItemError: when the bank has the same one under another id.
    """
    draft = validate_draft(draft)
    values = changed_values(column_values(draft)) | {"fingerprints": None}
    item_history.record_versions(connection, [item_id], expected_version)
    statement = update(ItemRow).where(ItemRow.id == item_id, ItemRow.version == expected_version)
    try:
        changed = connection.execute(statement.values(version=ItemRow.version + 1, changed_at=utc_now(), **values))
    except IntegrityError as error:
        raise _duplicate_error(connection, values["dedupe_key"]) from error
    if changed.rowcount == 0:
        present = find(connection, item_id)
        raise VersionMismatchError(
            message(
                "The item is at version %(version)s, not %(expected)s; read it again and repeat your change.",
                version=present.version,
                expected=expected_version,
            )
        )
    tags.replace_tags(connection, item_id, draft.tags)
    return find(connection, item_id)


def remove(connection: Connection, item_id: int) -> None:
    """Delete an item.

    Raises:
        NotFoundError: when there is no such item.
        ItemInUseError: when a quiz draft has it; the foreign key refuses.
    """
    try:
        removed = connection.execute(delete(ItemRow).where(ItemRow.id == item_id)).rowcount
    except IntegrityError as error:
        raise ItemInUseError("A quiz is built from this item; take it out of the quiz first.") from error
    if removed == 0:
        raise NotFoundError(message("There is no item %(item)s.", item=item_id))


def _duplicate_error(connection: Connection, key: bytes) -> DuplicateItemError:
    other = connection.execute(select(ItemRow.id).where(ItemRow.dedupe_key == key)).scalar_one_or_none()
    if other is None:
        return DuplicateItemError("The same item was there and has just been removed; try again.")
    return DuplicateItemError(message("It is item %(item)s.", item=other), {"item": other})


def _to_items(connection: Connection, rows: Sequence[Row[*tuple[Any, ...]]]) -> list[Item]:
    """Return rows as items; their tags are read in one statement."""
    tags_of = tags.find_tags(connection, [row.id for row in rows])
    return [_to_item(row._asdict(), tags_of.get(row.id, ())) for row in rows]


def _to_item(values: dict[str, Any], item_tags: tuple[str, ...]) -> Item:
    positions = {"right": tuple(values["right"]), "pinned": from_bits(values["pinned"])}
    return Item(**values | positions | {"choices": tuple(values["choices"]), "tags": item_tags})
