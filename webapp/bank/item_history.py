"""What items were before they were changed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from webapp.bank.models import Item, ItemVersion

MAX_VERSIONS = 100


@dataclass(frozen=True)
class PastVersion:
    """What an item was from `changed_at` on, until the next version."""

    version: int
    kind: str
    stem: str
    choices: tuple[str, ...]
    right: tuple[int, ...]
    explanation: str
    category: str | None
    difficulty: str | None
    source: str | None
    licence: str | None
    address: str | None
    changed_at: datetime
    import_id: int | None
    """Which import made it this."""


_COLUMNS = [column for column in ItemVersion.__table__.c if column.name != "item_id"]
_ITEM_COLUMNS = [Item.__table__.c[column.name] for column in _COLUMNS]


def record_versions(connection: Connection, item_ids: Collection[int], version: int | None = None) -> None:
    """Copy the present state of items into their past; of one that is not at `version`, nothing.

    To be called before they change, in the same transaction.
    """
    present = select(Item.id, *_ITEM_COLUMNS).where(Item.id.in_(list(item_ids)))
    if version is not None:
        present = present.where(Item.version == version)
    connection.execute(insert(ItemVersion).from_select(["item_id", *(column.name for column in _COLUMNS)], present))


def list_versions(connection: Connection, item_id: int) -> list[PastVersion]:
    """Return an item's earlier versions, the latest first, a hundred at most."""
    query = select(*_COLUMNS).where(ItemVersion.item_id == item_id).order_by(ItemVersion.version.desc())
    return [_to_version(row) for row in connection.execute(query.limit(MAX_VERSIONS))]


def _to_version(row: Row[*tuple[Any, ...]]) -> PastVersion:
    values = row._asdict()
    return PastVersion(**values | {"choices": tuple(values["choices"]), "right": tuple(values["right"])})
