"""The schema that a sweep works in: one of its own, or one that was given to it and holds nothing of anybody's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Connection, make_url, text

from webapp.lab.schemas import NotALabError, schema_of_its_own
from webapp.pooling.engine import unpooled_engine
from webapp.pooling.settings import PoolSettings
from webapp.pooling.work import Work

MARK = "poolproof_lab"
"""A table of this name says: this schema is a lab, everything in it may be dropped."""


@contextmanager
def lab_schema(database_url: str, given: str | None = None) -> Iterator[str]:
    """Yield the address of an empty schema on the same server; it is dropped after.

    Args:
        database_url: Of the service; only its server is used.
        given: A schema to work in instead, for accounts that may not create one. It is emptied after.

    Raises:
        NotALabError: when none can be made, or the given one holds what is not the lab's.
    """
    if not given:
        with schema_of_its_own(database_url, "size") as own:
            yield own
        return
    url = make_url(given)
    if url.get_backend_name() == "sqlite":
        raise NotALabError("--lab-database names SQLite, which has one writer and no connections to count.")
    _empty(url)
    try:
        yield given
    finally:
        _empty(url)


def _work(url: URL) -> Work:
    settings = PoolSettings.model_validate({"read_timeout": 60.0, "statement_timeout": 50.0})
    return Work(unpooled_engine(url, settings, "lab"))


def _empty(url: URL) -> None:
    """Drop every table of a lab, and leave the mark."""
    with _work(url).at_once() as connection:
        tables = _tables(connection)
        if tables and MARK not in tables:
            raise NotALabError(
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
