"""Schemas that the lab makes for itself and drops again. One that does not carry its mark is never touched."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

SCHEMA_PREFIX = "poolproof_lab_"
MARKER_TABLE = "lab_mark"


class ScratchSchemaError(Exception):
    """A schema is not the lab's, or the lab may not make one; the text says what to do."""


@contextmanager
def create_scratch_schema(database_url: str, name: str) -> Iterator[str]:
    """Make a marked schema beside that of `database_url`, give its address, and drop it at the end.

    Raises:
        ScratchSchemaError: when the database is a file, or the account may not make schemas.
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
            allowed = f"GRANT ALL ON `{SCHEMA_PREFIX.replace('_', chr(92) + '_')}%`.* TO '{url.username}'"
            raise ScratchSchemaError(
                f"The account {url.username} may not make the lab's schemas. Allow it: {allowed}"
            ) from error
        connection.execute(text(f"CREATE TABLE `{schema}`.`{MARKER_TABLE}` (made DATETIME DEFAULT CURRENT_TIMESTAMP)"))
    try:
        yield url.set(database=schema).render_as_string(hide_password=False)
    finally:
        drop_schema(database_url, schema)


def drop_schema(database_url: str, schema: str) -> None:
    """Drop a schema of the lab.

    Raises:
        ScratchSchemaError: when it does not have the lab's name and the lab's mark.
    """
    found = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = :schema AND table_name = :mark"
    with _connect(database_url) as connection:
        is_marked = connection.execute(text(found), {"schema": schema, "mark": MARKER_TABLE}).scalar_one()
        if not schema.startswith(SCHEMA_PREFIX) or not is_marked:
            raise ScratchSchemaError(f"The schema {schema} is not the lab's: it is left as it is.")
        connection.execute(text(f"DROP DATABASE `{schema}`"))


@contextmanager
def _connect(database_url: str) -> Iterator[Connection]:
    """Connect for a moment, to the schema that is there anyway."""
    engine = create_engine(database_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
