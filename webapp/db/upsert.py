"""INSERT … SELECT that keeps or replaces a row that exists already: one statement on each database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Executable, Select, Table, case
from sqlalchemy.dialects import mysql, sqlite

ReplaceCondition = Callable[[Any, Any], ColumnElement[bool]]
"""Whether a row replaces one that exists: called with the columns of the new row and those of the stored one."""


def upsert_statement(
    dialect: str,
    table: Table,
    columns: Sequence[str],
    rows: Select[*tuple[Any, ...]],
    *,
    key: Sequence[str],
    replace: Sequence[str] = (),
    replace_if: ReplaceCondition | None = None,
) -> Executable:
    """Return the statement of `upsert_from`, for a caller that executes it often and caches it.

    With `replace_if` a row that exists is replaced only where that holds. MySQL assigns the columns one after the
    other, in the order of `replace`, and evaluates the condition for each: it must still hold after the columns before
    have been replaced.
    """
    if dialect == "sqlite":
        sqlite_insert = sqlite.insert(table).from_select(list(columns), rows)
        if replace:
            return sqlite_insert.on_conflict_do_update(
                index_elements=list(key),
                set_={name: sqlite_insert.excluded[name] for name in replace},
                where=replace_if(sqlite_insert.excluded, table.c) if replace_if else None,
            )
        return sqlite_insert.on_conflict_do_nothing()
    mysql_insert = mysql.insert(table).from_select(list(columns), rows)
    # Setting a key column to itself changes nothing, and unlike INSERT IGNORE it hides no other errors.
    if not replace:
        return mysql_insert.on_duplicate_key_update({key[0]: table.c[key[0]]})
    new: dict[str, Any] = {name: mysql_insert.inserted[name] for name in replace}
    if replace_if:
        condition = replace_if(mysql_insert.inserted, table.c)
        new = {name: case((condition, value), else_=table.c[name]) for name, value in new.items()}
    return mysql_insert.on_duplicate_key_update([(name, new[name]) for name in replace])


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
