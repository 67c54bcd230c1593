"""INSERT … SELECT that keeps or replaces a row that exists already: one statement on each database."""

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
    """Return the statement of `upsert_from`, for a caller that executes it often and caches it."""
    if dialect == "sqlite":
        sqlite_insert = sqlite.insert(table).from_select(list(columns), rows)
        if replace:
            return sqlite_insert.on_conflict_do_update(
                index_elements=list(key), set_={name: sqlite_insert.excluded[name] for name in replace}
            )
        return sqlite_insert.on_conflict_do_nothing()
    mysql_insert = mysql.insert(table).from_select(list(columns), rows)
    # Setting a key column to itself changes nothing, and unlike INSERT IGNORE it hides no other errors.
    changes = {name: mysql_insert.inserted[name] for name in replace} or {key[0]: table.c[key[0]]}
    return mysql_insert.on_duplicate_key_update(changes)


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
    """Insert the selected rows; where `key` exists already, replace the named columns, or keep the row as it is.

    With `replace` the result is 0 if and only if `rows` was empty. The row locks are exclusive from the start, not
    upgraded from shared ones, so that two transactions that write the same row wait for each other and never deadlock.
    On SQLite `rows` needs a WHERE, since its grammar would take ON CONFLICT for a join. `parameters` are the values of
    named parameters in `rows`.
    """
    statement = upsert_statement(connection.dialect.name, table, columns, rows, key=key, replace=replace)
    return connection.execute(statement, dict(parameters or {})).rowcount
