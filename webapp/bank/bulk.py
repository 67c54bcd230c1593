"""Many items at once: multi-row statements that leave out what the bank already has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from webapp.bank.items import ItemDraft, column_values
from webapp.bank.models import Item
from webapp.errors import BusyError
from webapp.pooling.clock import utc_now

BATCH = 500
"""Drafts of one transaction."""
STATEMENT = 50
"""Rows of one statement: of the largest items as many as fit into MariaDB's 16 MiB."""
TRIES = 5


def store(connection: Connection, drafts: Sequence[ItemDraft]) -> list[bool]:
    """Store up to `BATCH` checked drafts; say for each whether it was new.

    One that the bank has, or that stands twice in the batch, is left out. Of imports that
    store the same item in the same instant exactly one counts it as new.

    Raises:
        BusyError: when others keep storing the same items.
    """
    rows = [column_values(draft) for draft in drafts]
    first: dict[bytes, int] = {}
    for position, row in enumerate(rows):
        first.setdefault(row["dedupe_key"], position)
    for key in already_there(connection, first):
        del first[key]
    new: set[bytes] = set()
    fresh = [rows[position] for position in first.values()]
    for start in range(0, len(fresh), STATEMENT):
        new |= _insert(connection, fresh[start : start + STATEMENT])
    return [row["dedupe_key"] in new and first[row["dedupe_key"]] == position for position, row in enumerate(rows)]


def already_there(connection: Connection, keys: Iterable[bytes]) -> set[bytes]:
    """Return which of these dedupe keys the bank has, in one statement."""
    found = connection.execute(select(Item.dedupe_key).where(Item.dedupe_key.in_(list(keys)))).scalars()
    return {bytes(key) for key in found}


def _insert(connection: Connection, rows: list[dict[str, Any]]) -> set[bytes]:
    """Insert the rows but those that somebody has stored since we looked; return the keys of the inserted ones.

    INSERT IGNORE would hide every other error as well, ON DUPLICATE KEY UPDATE would not
    tell which rows were new. A refused statement leaves nothing behind, so no savepoint is
    needed; after a deadlock there would be none to go back to.
    """
    now = {"version": 1, "created_at": utc_now(), "changed_at": utc_now()}
    for _ in range(TRIES):
        keys = {row["dedupe_key"] for row in rows}
        try:
            if rows:
                connection.execute(insert(Item).values([row | now for row in rows]))
        except IntegrityError:
            taken = already_there(connection, keys)
            if not taken:
                raise
            rows = [row for row in rows if row["dedupe_key"] not in taken]
        else:
            return keys
    raise BusyError("Others are storing the same items just now; try again in a moment.")
