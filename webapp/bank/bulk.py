"""Many items at once: multi-row statements that leave out what the bank already has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects import mysql, sqlite

from webapp.bank.items import ItemDraft, column_values
from webapp.bank.models import Item
from webapp.pooling.clock import utc_now

BATCH = 500
"""Rows of one statement; SQLite takes at most 32,766 parameters."""

_table: Table = Item.__table__  # type: ignore[assignment]


def store(connection: Connection, drafts: Sequence[ItemDraft]) -> list[bool]:
    """Store up to `BATCH` checked drafts; say for each whether it was new.

    One that the bank has, or that stands twice in the batch, is left out. When two imports
    store the same item in the same instant it is stored once, though both may count it as new.
    """
    rows = [column_values(draft) for draft in drafts]
    first: dict[bytes, int] = {}
    for position, row in enumerate(rows):
        first.setdefault(row["dedupe_key"], position)
    known = already_there(connection, first)
    fresh = {key: position for key, position in first.items() if key not in known}
    if fresh:
        _insert(connection, [rows[position] for position in fresh.values()])
    new = set(fresh.values())
    return [position in new for position in range(len(rows))]


def already_there(connection: Connection, keys: Sequence[bytes] | dict[bytes, int]) -> set[bytes]:
    """Return which of these dedupe keys the bank has, in one statement."""
    found = connection.execute(select(Item.dedupe_key).where(Item.dedupe_key.in_(list(keys)))).scalars()
    return {bytes(key) for key in found}


def _insert(connection: Connection, rows: list[dict[str, Any]]) -> None:
    now = {"version": 1, "created_at": utc_now(), "changed_at": utc_now()}
    values = [row | now for row in rows]
    if connection.dialect.name == "sqlite":
        connection.execute(sqlite.insert(_table).values(values).on_conflict_do_nothing(index_elements=["dedupe_key"]))
        return
    # Somebody may have stored one since we looked. Not INSERT IGNORE: it would hide every other error as well.
    statement = mysql.insert(_table).values(values)
    connection.execute(statement.on_duplicate_key_update(id=_table.c.id))
