"""The steps of migrations: each asks what is there, and changes only what is missing.

DDL is not transactional on MySQL and MariaDB: a migration may be killed between any two statements, and the next start
runs it again from its beginning. So migrations are written with the functions of this module and never with Alembic's
own (a test checks that); each step is one statement. Before each one the lease is checked, see `migration_lease`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import sleep
from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.operations import ops
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex, CreateTable, SchemaItem

from poolproof.drivers.errors import is_contention
from webapp.migration_lease.lease import Lease, MigrationError

ATTEMPTS = 12
RETRY_INTERVAL = 5.0
"""Seconds between two attempts on a table that is busy; meanwhile nobody queues behind the change."""


def is_sqlite() -> bool:
    """Say whether the database is SQLite."""
    return op.get_bind().dialect.name == "sqlite"


def create_table(name: str, *elements: SchemaItem, **options: Any) -> None:
    """Create a table if it is missing, and then each of its indexes that is missing."""
    # Made by Alembic's operation, because a foreign key names a table that this metadata does not have.
    table = ops.CreateTableOp(name, elements, **options).to_table(op.get_context())
    _take_step(name, lambda found: found.has_table(name), lambda: op.execute(CreateTable(table)))
    for index in sorted(table.indexes, key=lambda each: str(each.name)):
        _create_index(name, index)


def drop_table(name: str) -> None:
    """Drop a table, if it is there."""
    _take_step(name, lambda found: not found.has_table(name), lambda: op.drop_table(name))


def rename_table(name: str, new_name: str) -> None:
    """Rename a table, unless there is one of the new name."""
    _take_step(name, lambda found: found.has_table(new_name), lambda: op.rename_table(name, new_name))


def add_column(table: str, column: sa.Column[Any]) -> None:
    """Add a column, if it is missing."""
    _take_step(table, lambda found: column.name in _column_names(found, table), lambda: op.add_column(table, column))


def drop_column(table: str, name: str) -> None:
    """Drop a column, if it is there."""
    _take_step(table, lambda found: name not in _column_names(found, table), lambda: op.drop_column(table, name))


def create_index(name: str, table: str, columns: Sequence[str | sa.TextClause], **options: Any) -> None:
    """Create an index, if it is missing."""
    _create_index(table, ops.CreateIndexOp(name, table, list(columns), **options).to_index(op.get_context()))


def create_full_text_index(name: str, table: str, columns: Sequence[str]) -> None:
    """Create a full-text index on MySQL or MariaDB, if it is missing."""
    create_index(name, table, columns, mysql_prefix="FULLTEXT", mariadb_prefix="FULLTEXT")


def drop_index(name: str, table: str) -> None:
    """Drop an index, if it is there."""
    _take_step(table, lambda found: name not in _index_names(found, table), lambda: op.drop_index(name, table))


def has_table(name: str) -> bool:
    """Say whether there is a table."""
    return sa.inspect(op.get_bind()).has_table(name)


def execute(statement: str, parameters: Mapping[str, Any] | None = None) -> None:
    """Execute a statement that changes rows. It is repeated after a kill, and must mean the same then."""
    _take_step("", lambda _: False, lambda: op.get_bind().execute(sa.text(statement), dict(parameters or {})))


def _create_index(table: str, index: sa.Index) -> None:
    _take_step(table, lambda found: index.name in _index_names(found, table), lambda: op.execute(CreateIndex(index)))


def _column_names(found: sa.Inspector, table: str) -> set[str]:
    """Return the names of a table's columns; none where there is no such table."""
    return {column["name"] for column in found.get_columns(table)} if found.has_table(table) else set()


def _index_names(found: sa.Inspector, table: str) -> set[str | None]:
    """Return the names of a table's indexes; none where there is no such table."""
    return {index["name"] for index in found.get_indexes(table)} if found.has_table(table) else set()


def _take_step(table: str, is_done: Callable[[sa.Inspector], bool], change: Callable[[], Any]) -> None:
    """Make one change unless it is there already; wait for a table that is busy, within a bound."""
    lease: Lease = op.get_context().config.attributes["lease"]  # type: ignore[union-attr]
    busy: DBAPIError | None = None
    for _ in range(ATTEMPTS):
        if busy is not None:
            sleep(RETRY_INTERVAL)
        lease.check()
        try:
            if not is_done(sa.inspect(op.get_bind())):
                change()
        except DBAPIError as error:
            if is_contention(error):
                busy = error
                continue
            # A statement of a process that was killed may have gone on in the server, and be done by now.
            if error.connection_invalidated or not is_done(sa.inspect(op.get_bind())):
                raise
        return
    what = f"The table {table}, or one that it refers to," if table else "A row that this migration changes"
    raise MigrationError(
        f"{what} has been in use by others for {ATTEMPTS * RETRY_INTERVAL:g} s: a transaction of another session, a "
        "backup, or a statement of a start that was killed. A change waits for a table for some seconds only, because "
        "all others would wait behind it. End that session (SHOW PROCESSLIST names it) and start again: the migration "
        "goes on where it stopped."
    ) from busy
