"""A schema of the lab's own, so that nothing of anybody's is touched."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from webapp.pooling.engine import engine_options, prepare_engine
from webapp.pooling.settings import PoolSettings
from webapp.pooling.work import Work

PREFIX = "poolproof_lab_"
MARK = "poolproof_lab"
"""A table of this name says: this schema is a lab, everything in it may be dropped."""


class NoLabError(Exception):
    """There is no schema to work in; the text says what to do."""


@contextmanager
def lab_schema(database_url: str, given: str | None = None) -> Iterator[str]:
    """Yield the address of an empty schema on the same server; it is dropped after.

    Args:
        database_url: Of the service; only its server is used.
        given: A schema to work in instead, for accounts that may not create one. It is emptied after.

    Raises:
        NoLabError: when none can be made, or the given one holds what is not the lab's.
    """
    url = make_url(given or database_url)
    if url.get_backend_name() == "sqlite":
        raise NoLabError("SQLite has one writer and no connections to count: point DATABASE_URL at MySQL or MariaDB.")
    if given:
        _empty(url)
        try:
            yield given
        finally:
            _empty(url)
        return
    name = PREFIX + secrets.token_hex(4)
    try:
        _run(url, f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
    except DBAPIError as error:
        raise NoLabError(
            f"No schema can be created on the server ({error.orig}). Grant the account ALL ON `poolproof\\_lab\\_%`.*, "
            "or name an empty schema with --lab-database."
        ) from error
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        _run(url, f"DROP DATABASE `{name}`")


def _run(url: URL, statement: str) -> None:
    with _work(url).at_once() as connection:
        connection.execute(text(statement))


def _work(url: URL) -> Work:
    settings = PoolSettings.model_validate({"class": "null", "read_timeout": 60.0, "statement_timeout": 50.0})
    return Work(_engine(url, settings))


def _engine(url: URL, settings: PoolSettings) -> Engine:
    engine = create_engine(url, **{**engine_options(settings, url, 1), "poolclass": NullPool})
    prepare_engine(engine, settings, "lab")
    return engine


def _empty(url: URL) -> None:
    """Drop every table of a lab, and leave the mark."""
    with _work(url).at_once() as connection:
        tables = _tables(connection)
        if tables and MARK not in tables:
            raise NoLabError(
                f"The schema {url.database} is not empty and not marked as a lab: it has {', '.join(tables[:3])} … "
                f"Name an empty one, or mark it as one that may be emptied: CREATE TABLE {MARK} (id INT)."
            )
        if gone := [f"`{name}`" for name in tables if name != MARK]:
            connection.execute(text("SET foreign_key_checks = 0"))
            connection.execute(text(f"DROP TABLE {', '.join(gone)}"))
        connection.execute(text(f"CREATE TABLE IF NOT EXISTS {MARK} (id INT)"))


def _tables(connection: Connection) -> list[str]:
    asked = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY table_name"
    return list(connection.execute(text(asked)).scalars())
