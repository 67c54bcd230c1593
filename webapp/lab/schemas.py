"""Schemas that the lab makes for itself and drops again. One that does not carry its mark is never touched."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

PREFIX = "poolproof_lab_"
MARK = "lab_mark"


class NotALabError(Exception):
    """A schema is not the lab's, or the lab may not make one; the text says what to do."""


@contextmanager
def schema_of_its_own(database_url: str, name: str) -> Iterator[str]:
    """Make a marked schema beside that of `database_url`, give its address, and drop it at the end.

    Raises:
        NotALabError: when the database is a file, or the account may not make schemas.
    """
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        raise NotALabError(
            "This needs MySQL or MariaDB: DATABASE_URL names SQLite, which has no connections to run out of."
        )
    schema = f"{PREFIX}{name}_{secrets.token_hex(4)}"
    with _door(database_url) as connection:
        try:
            connection.execute(text(f"CREATE DATABASE `{schema}` CHARACTER SET utf8mb4"))
        except OperationalError as error:
            allowed = f"GRANT ALL ON `{PREFIX.replace('_', chr(92) + '_')}%`.* TO '{url.username}'"
            raise NotALabError(
                f"The account {url.username} may not make the lab's schemas. Allow it: {allowed}"
            ) from error
        connection.execute(text(f"CREATE TABLE `{schema}`.`{MARK}` (made DATETIME DEFAULT CURRENT_TIMESTAMP)"))
    try:
        yield url.set(database=schema).render_as_string(hide_password=False)
    finally:
        drop(database_url, schema)


def drop(database_url: str, schema: str) -> None:
    """Drop a schema of the lab.

    Raises:
        NotALabError: when it does not have the lab's name and the lab's mark.
    """
    found = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = :schema AND table_name = :mark"
    with _door(database_url) as connection:
        is_marked = connection.execute(text(found), {"schema": schema, "mark": MARK}).scalar_one()
        if not schema.startswith(PREFIX) or not is_marked:
            raise NotALabError(f"The schema {schema} is not the lab's: it is left as it is.")
        connection.execute(text(f"DROP DATABASE `{schema}`"))


@contextmanager
def _door(database_url: str) -> Iterator[Connection]:
    """Connect for a moment, to the schema that is there anyway."""
    engine = create_engine(database_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
