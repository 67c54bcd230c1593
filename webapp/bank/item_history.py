"""The past versions of items."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from webapp.bank.models import Item, ItemVersion
from webapp.bank.position_bits import from_bits
from webapp.errors import NotFoundError
from webapp.messages import message

MAX_VERSIONS = 100


@dataclass(frozen=True)
class PastVersion:
    """The content of an item from `changed_at` until its next version."""

    version: int
    kind: str
    category: str | None
    difficulty: str | None
    stem: str
    choices: tuple[str, ...]
    right: tuple[int, ...]
    pinned: tuple[int, ...]
    explanation: str
    source: str | None
    licence: str | None
    address: str | None
    changed_at: datetime
    import_id: int | None
    """The import that made this version; None when something else did."""


_COLUMNS = [column for column in ItemVersion.__table__.c if column.name != "item_id"]
_ITEM_COLUMNS = [Item.__table__.c[column.name] for column in _COLUMNS]


def record_versions(connection: Connection, item_ids: Collection[int], version: int | None = None) -> None:
    """Copy the present versions of items into their history; with `version`, only of items that are at it.

    To be called before they change, in the same transaction.
    """
    present = select(Item.id, *_ITEM_COLUMNS).where(Item.id.in_(list(item_ids)))
    if version is not None:
        present = present.where(Item.version == version)
    connection.execute(insert(ItemVersion).from_select(["item_id", *(column.name for column in _COLUMNS)], present))


def list_versions(connection: Connection, item_id: int) -> list[PastVersion]:
    """Return an item's past versions, the latest first, at most `MAX_VERSIONS`."""
    query = select(*_COLUMNS).where(ItemVersion.item_id == item_id).order_by(ItemVersion.version.desc())
    return [_to_version(row) for row in connection.execute(query.limit(MAX_VERSIONS))]


def find_version(connection: Connection, item_id: int, version: int) -> PastVersion:
    """Return a past version of an item.

    Raises:
        NotFoundError: when there is none with this number.
    """
    query = select(*_COLUMNS).where(ItemVersion.item_id == item_id, ItemVersion.version == version)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFoundError(message("Item %(item)s has no past version %(version)s.", item=item_id, version=version))
    return _to_version(row)


def _to_version(row: Row[*tuple[Any, ...]]) -> PastVersion:
    values = row._asdict()
    positions = {"right": tuple(values["right"]), "pinned": from_bits(values["pinned"])}
    return PastVersion(**values | positions | {"choices": tuple(values["choices"])})
