"""Insert from a SELECT, and settle with the row that is already there: one statement on each database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Executable, Select, Table
from sqlalchemy.dialects import mysql, sqlite


def upsert_statement(
    dialect: str,
    table: Table,
    columns: Sequence[str],
    rows: Select[*tuple[Any, ...]],
    *,
    key: Sequence[str],
    replace: Sequence[str] = (),
) -> Executable:
    """Return the statement of `upsert_from`, to be kept by who executes it often."""
    if dialect == "sqlite":
        lite = sqlite.insert(table).from_select(list(columns), rows)
        if replace:
            return lite.on_conflict_do_update(
                index_elements=list(key), set_={name: lite.excluded[name] for name in replace}
            )
        return lite.on_conflict_do_nothing()
    my = mysql.insert(table).from_select(list(columns), rows)
    # Setting a key column to itself changes nothing, but unlike INSERT IGNORE hides no other error.
    changes = {name: my.inserted[name] for name in replace} or {key[0]: table.c[key[0]]}
    return my.on_duplicate_key_update(changes)


def upsert_from(
    connection: Connection,
    table: Table,
    columns: Sequence[str],
    rows: Select[*tuple[Any, ...]],
    *,
    key: Sequence[str],
    replace: Sequence[str] = (),
    parameters: Mapping[str, Any] | None = None,
) -> int:
    """Insert the selected rows; where `key` is taken, replace the named columns, or keep the row as it is.

    With `replace` the result counts the rows that were written, in the sense that 0 means
    that `rows` was empty. The locks taken are exclusive from the start (no upgrade from a
    shared one), so that two that write the same row wait for each other and never deadlock.
    On SQLite `rows` needs a WHERE, or its grammar takes ON CONFLICT for a join. `given` are the
    values of named parameters in `rows`.
    """
    statement = upsert_statement(connection.dialect.name, table, columns, rows, key=key, replace=replace)
    return connection.execute(statement, dict(parameters or {})).rowcount
