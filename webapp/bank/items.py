"""Items: check, find, create, change, remove."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from webapp.bank.identity import dedupe_key
from webapp.bank.kinds import Difficulty, Kind
from webapp.bank.models import Item as ItemRow
from webapp.bank.search import indexed_words, stem_has_words
from webapp.errors import (
    DuplicateItemError,
    InvalidInputError,
    ItemInUseError,
    NotFoundError,
    VersionMismatchError,
)
from webapp.pooling.clock import utc_now
from webapp.web.text import is_storable

LONGEST_STEM = 4000
LONGEST_CHOICE = 500
LONGEST_EXPLANATION = 4000
LONGEST_CATEGORY = 100
LONGEST_SOURCE = 200
LONGEST_LICENCE = 100
FEWEST_CHOICES = 2
MOST_CHOICES = 20
TRUE_AND_FALSE = ("True", "False")


@dataclass(frozen=True)
class ItemDraft:
    """What somebody wants an item to be; `right` are positions in `choices`."""

    kind: str
    stem: str
    choices: tuple[str, ...]
    right: tuple[int, ...]
    explanation: str = ""
    category: str | None = None
    difficulty: str | None = None
    source: str | None = None
    licence: str | None = None


@dataclass(frozen=True, kw_only=True)
class Item(ItemDraft):
    """An item of the bank."""

    id: int
    version: int
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True)
class Filters:
    """What to look for; None looks for everything."""

    category: str | None = None
    difficulty: str | None = None
    kind: str | None = None
    words: str | None = None


@dataclass(frozen=True)
class Found:
    """A page of items and, when there are more, the id to go on after."""

    rows: Sequence[Item]
    next_after: int | None


_TEXTS = ("kind", "stem", "explanation", "category", "difficulty", "source", "licence")
_COLUMNS = [column for column in ItemRow.__table__.c if column.name not in {"dedupe_key", "words"}]


def trimmed(draft: ItemDraft) -> ItemDraft:
    """Return the draft as it is stored: no blanks around texts, nothing instead of an empty text, `right` in order."""
    return replace(
        draft,
        stem=draft.stem.strip(),
        choices=tuple(choice.strip() for choice in draft.choices),
        right=tuple(sorted(set(draft.right))),
        explanation=draft.explanation.strip(),
        category=(draft.category or "").strip() or None,
        source=(draft.source or "").strip() or None,
        licence=(draft.licence or "").strip() or None,
    )


def problems_of(draft: ItemDraft) -> list[tuple[str, str]]:
    """Return what is wrong with a trimmed draft, as (field, reason); nothing when it is good."""
    wrong = [
        None if 1 <= len(draft.stem) <= LONGEST_STEM else ("stem", f"The stem has 1 to {LONGEST_STEM} characters."),
        ("kind", f"{draft.kind} is no kind of item.") if draft.kind not in set(Kind) else None,
        ("difficulty", f"{draft.difficulty} is no difficulty.")
        if draft.difficulty is not None and draft.difficulty not in set(Difficulty)
        else None,
        _too_long("explanation", draft.explanation, LONGEST_EXPLANATION),
        _too_long("category", draft.category, LONGEST_CATEGORY),
        _too_long("source", draft.source, LONGEST_SOURCE),
        _too_long("licence", draft.licence, LONGEST_LICENCE),
        _trouble_with_choices(draft),
        _trouble_with_right(draft),
        *(_unstorable(field, text) for field, text in _texts_of(draft)),
    ]
    return [one for one in wrong if one is not None]


def check(draft: ItemDraft) -> ItemDraft:
    """Return the draft as it is stored, or refuse it.

    Raises:
        InvalidInputError: with every field that is wrong.
    """
    draft = trimmed(draft)
    if wrong := problems_of(draft):
        errors = [{"where": where, "reason": reason} for where, reason in wrong]
        raise InvalidInputError(" ".join(reason for _, reason in wrong), {"errors": errors})
    return draft


def column_values(draft: ItemDraft) -> dict[str, Any]:
    """Return a checked draft as the table's columns, without times and version."""
    values: dict[str, Any] = {name: getattr(draft, name) for name in _TEXTS}
    key = dedupe_key(draft.stem, draft.choices, draft.right)
    lists = {"choices": list(draft.choices), "right": list(draft.right)}
    return values | lists | {"words": indexed_words(draft.stem), "dedupe_key": key}


def find(connection: Connection, item_id: int) -> Item:
    """Return an item.

    Raises:
        NotFoundError: when there is none with this id.
    """
    row = connection.execute(select(*_COLUMNS).where(ItemRow.id == item_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no item {item_id}.")
    return _item(row)


def find_many(connection: Connection, item_ids: Iterable[int]) -> dict[int, Item]:
    """Return the items that exist among these ids, in one statement."""
    wanted = list(item_ids)
    if not wanted:
        return {}
    rows = connection.execute(select(*_COLUMNS).where(ItemRow.id.in_(wanted)))
    return {row.id: _item(row) for row in rows}


def search(connection: Connection, filters: Filters, after: int | None, limit: int) -> Found:
    """Return items that fit all filters, by id, in pages that no insert or delete can shift."""
    query = select(*_COLUMNS)
    for column, value in (
        (ItemRow.category, filters.category),
        (ItemRow.difficulty, filters.difficulty),
        (ItemRow.kind, filters.kind),
    ):
        if value is not None:
            query = query.where(column == value)
    if filters.words is not None:
        query = query.where(stem_has_words(connection.dialect.name, filters.words))
    if after is not None:
        query = query.where(ItemRow.id > after)
    rows = [_item(row) for row in connection.execute(query.order_by(ItemRow.id).limit(limit + 1))]
    return Found(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)


def categories(connection: Connection) -> list[str]:
    """Return the categories in use, the first five hundred by name."""
    query = select(ItemRow.category).where(ItemRow.category.is_not(None)).distinct()
    return [name for name in connection.execute(query.order_by(ItemRow.category).limit(500)).scalars() if name]


def create(connection: Connection, draft: ItemDraft) -> Item:
    """Add an item.

    Raises:
        InvalidInputError: when it is not a good item.
        DuplicateItemError: when the bank has the same one.
    """
    values = column_values(check(draft))
    try:
        result = connection.execute(
            insert(ItemRow).values(version=1, created_at=utc_now(), changed_at=utc_now(), **values)
        )
    except IntegrityError as error:
        raise _duplicate(connection, values["dedupe_key"]) from error
    item_id: int = result.inserted_primary_key[0]  # type: ignore[index]
    return find(connection, item_id)


def change(connection: Connection, item_id: int, draft: ItemDraft, expected_version: int) -> Item:
    """Replace an item, unless somebody was faster. Published quizzes keep what they were published with.

    Raises:
        NotFoundError: when there is no such item.
        VersionMismatchError: when it is not at `expected_version` any more.
        InvalidInputError: when it is not a good item.
        DuplicateItemError: when the bank has the same one under another id.
    """
    values = column_values(check(draft))
    statement = update(ItemRow).where(ItemRow.id == item_id, ItemRow.version == expected_version)
    try:
        changed = connection.execute(statement.values(version=ItemRow.version + 1, changed_at=utc_now(), **values))
    except IntegrityError as error:
        raise _duplicate(connection, values["dedupe_key"]) from error
    present = find(connection, item_id)
    if changed.rowcount == 0:
        raise VersionMismatchError(
            f"The item is at version {present.version}, not {expected_version}; read it again and repeat your change."
        )
    return present


def remove(connection: Connection, item_id: int) -> None:
    """Delete an item.

    Raises:
        NotFoundError: when there is no such item.
        ItemInUseError: when a draft has it; the foreign key refuses.
    """
    try:
        removed = connection.execute(delete(ItemRow).where(ItemRow.id == item_id)).rowcount
    except IntegrityError as error:
        raise ItemInUseError("A quiz is built from this item; take it out of the quiz first.") from error
    if removed == 0:
        raise NotFoundError(f"There is no item {item_id}.")


def _too_long(field: str, text: str | None, longest: int) -> tuple[str, str] | None:
    return (field, f"Give at most {longest} characters.") if text is not None and len(text) > longest else None


def _trouble_with_choices(draft: ItemDraft) -> tuple[str, str] | None:
    choices = draft.choices
    if draft.kind == Kind.TRUE_FALSE:
        return (
            None
            if choices == TRUE_AND_FALSE
            else ("choices", "True or false has the choices True and False, in this order.")
        )
    if not FEWEST_CHOICES <= len(choices) <= MOST_CHOICES:
        return ("choices", f"An item has {FEWEST_CHOICES} to {MOST_CHOICES} choices, not {len(choices)}.")
    if any(not 1 <= len(choice) <= LONGEST_CHOICE for choice in choices):
        return ("choices", f"A choice has 1 to {LONGEST_CHOICE} characters.")
    if twice := next((choice for choice in choices if choices.count(choice) > 1), None):
        return ("choices", f"The choice {twice!r} is there twice.")
    return None


def _trouble_with_right(draft: ItemDraft) -> tuple[str, str] | None:
    right = set(draft.right)
    if any(not 0 <= position < len(draft.choices) for position in right):
        return ("right", "Positions of right choices are counted from 0.")
    if not right:
        return ("right", "Say which choice is right.")
    if draft.kind != Kind.MULTIPLE and len(right) != 1:
        return ("right", "This kind of item has exactly one right choice.")
    return None


def _texts_of(draft: ItemDraft) -> Iterator[tuple[str, str]]:
    yield from (("choices", choice) for choice in draft.choices)
    for field in ("stem", "explanation", "category", "source", "licence"):
        yield field, getattr(draft, field) or ""


def _unstorable(field: str, text: str) -> tuple[str, str] | None:
    return None if is_storable(text) else (field, "It contains a character that cannot be stored.")


def _duplicate(connection: Connection, key: bytes) -> DuplicateItemError:
    other = connection.execute(select(ItemRow.id).where(ItemRow.dedupe_key == key)).scalar_one_or_none()
    if other is None:
        return DuplicateItemError("Somebody had the same item and has just removed it; try again.")
    return DuplicateItemError(f"It is item {other}.", {"item": other})


def _item(row: Row[*tuple[Any, ...]]) -> Item:
    values = row._asdict()
    return Item(**values | {"choices": tuple(values["choices"]), "right": tuple(values["right"])})
