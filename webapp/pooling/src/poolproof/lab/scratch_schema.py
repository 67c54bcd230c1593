"""Schemas for the lab's work: new ones that are dropped afterwards, or a marked one of the operator's that is emptied.

Two tables mark a schema: `lab_mark` one that the lab has created and may drop, `poolproof_lab` one of the operator's
that the lab may use. A schema without its mark is never changed.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Connection, NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from poolproof.engine import create_unpooled_engine
from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork

SCHEMA_PREFIX = "poolproof_lab_"
MARKER_TABLE = "lab_mark"
"""In a schema that the lab has created: it may be dropped."""
LAB_MARKER_TABLE = "poolproof_lab"
"""In a schema of the operator's: drills may be run in it, and a sweep may drop its tables."""
TABLES_QUERY = text(
    "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY table_name"
)


class ScratchSchemaError(Exception):
    """A schema is not the lab's, or the lab may not create one; the text says what to do."""


@contextmanager
def open_scratch_schema(database_url: str, name: str, existing: str | None = None) -> Iterator[str]:
    """Yield the URL of an empty schema: a new one that is dropped afterwards, or an existing one that is emptied.

    Args:
        database_url: Of the service; only its server is used.
        name: Part of a new schema's name.
        existing: URL of a schema to use instead, for accounts that may not create one.

    Raises:
        ScratchSchemaError: when none can be created, or the existing one has tables and no mark.
    """
    if not existing:
        with create_scratch_schema(database_url, name) as created:
            yield created
        return
    url = make_url(existing)
    if url.get_backend_name() == "sqlite":
        raise ScratchSchemaError("--lab-database names SQLite, which has one writer and no connections to count.")
    _drop_tables(url)
    try:
        yield existing
    finally:
        _drop_tables(url)


@contextmanager
def create_scratch_schema(database_url: str, name: str) -> Iterator[str]:
    """Create a marked schema beside that of `database_url`, yield its URL, and drop it at the end.

    Raises:
        ScratchSchemaError: when the database is a file, or the account may not create schemas.
    """
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        raise ScratchSchemaError(
            "This needs MySQL or MariaDB: DATABASE_URL names SQLite, which has no connections to run out of."
        )
    schema = f"{SCHEMA_PREFIX}{name}_{secrets.token_hex(4)}"
    with _connect(database_url) as connection:
        try:
            connection.execute(text(f"CREATE DATABASE `{schema}` CHARACTER SET utf8mb4"))
        except OperationalError as error:
            grant = f"GRANT ALL ON `{SCHEMA_PREFIX.replace('_', chr(92) + '_')}%`.* TO '{url.username}'"
            raise ScratchSchemaError(
                f"The account {url.username} may not make the lab's schemas. Allow it: {grant}"
            ) from error
        connection.execute(text(f"CREATE TABLE `{schema}`.`{MARKER_TABLE}` (made DATETIME DEFAULT CURRENT_TIMESTAMP)"))
    try:
        yield url.set(database=schema).render_as_string(hide_password=False)
    finally:
        drop_schema(database_url, schema)


def drop_schema(database_url: str, schema: str) -> None:
    """Drop a schema that the lab has created.

    Raises:
        ScratchSchemaError: when it does not have the lab's prefix and the lab's mark.
    """
    query = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = :schema AND table_name = :marker"
    with _connect(database_url) as connection:
        is_marked = connection.execute(text(query), {"schema": schema, "marker": MARKER_TABLE}).scalar_one()
        if not schema.startswith(SCHEMA_PREFIX) or not is_marked:
            raise ScratchSchemaError(f"The schema {schema} is not the lab's: it is left as it is.")
        connection.execute(text(f"DROP DATABASE `{schema}`"))


@contextmanager
def _connect(database_url: str) -> Iterator[Connection]:
    """Connect to the existing schema for a moment."""
    engine = create_engine(database_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection


def _drop_tables(url: URL) -> None:
    """Drop every table of a marked schema but the mark; mark an empty one."""
    with _unit_of_work(url).autocommit() as connection:
        tables = list(connection.execute(TABLES_QUERY).scalars())
        if tables and LAB_MARKER_TABLE not in tables:
            raise ScratchSchemaError(
                f"The schema {url.database} is not empty and not marked as a lab: it has {', '.join(tables[:3])} … "
                f"Name an empty one, or mark it as one that may be emptied: CREATE TABLE {LAB_MARKER_TABLE} (id INT)."
            )
        if dropped := [f"`{name}`" for name in tables if name != LAB_MARKER_TABLE]:
            connection.execute(text("SET foreign_key_checks = 0"))
            connection.execute(text(f"DROP TABLE {', '.join(dropped)}"))
        connection.execute(text(f"CREATE TABLE IF NOT EXISTS {LAB_MARKER_TABLE} (id INT)"))


def _unit_of_work(url: URL) -> UnitOfWork:
    settings = PoolSettings(read_timeout=60.0, statement_timeout=50.0)
    return UnitOfWork(create_unpooled_engine(url, settings, "lab"))
