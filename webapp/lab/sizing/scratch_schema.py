"""The schema that a sweep works in: one of its own, or one that was given to it and holds nothing of anybody's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Connection, make_url, text

from poolproof.engine import create_unpooled_engine
from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.lab.services.scratch_schema import ScratchSchemaError, create_scratch_schema

LAB_MARKER_TABLE = "poolproof_lab"
"""A table of this name says: this schema is a lab, everything in it may be dropped."""


@contextmanager
def scratch_schema(database_url: str, existing: str | None = None) -> Iterator[str]:
    """Yield the address of an empty schema on the same server; it is dropped after.

    Args:
        database_url: Of the service; only its server is used.
        given: A schema to work in instead, for accounts that may not create one. It is emptied after.

    Raises:
        ScratchSchemaError: when none can be made, or the given one holds what is not the lab's.
    """
    if not existing:
        with create_scratch_schema(database_url, "size") as own:
            yield own
        return
    url = make_url(existing)
    if url.get_backend_name() == "sqlite":
        raise ScratchSchemaError("--lab-database names SQLite, which has one writer and no connections to count.")
    _drop_tables(url)
    try:
        yield existing
    finally:
        _drop_tables(url)


def _unit_of_work(url: URL) -> UnitOfWork:
    settings = PoolSettings(read_timeout=60.0, statement_timeout=50.0)
    return UnitOfWork(create_unpooled_engine(url, settings, "lab"))


def _drop_tables(url: URL) -> None:
    """Drop every table of a lab, and leave the mark."""
    with _unit_of_work(url).autocommit() as connection:
        tables = _table_names(connection)
        if tables and LAB_MARKER_TABLE not in tables:
            raise ScratchSchemaError(
                f"The schema {url.database} is not empty and not marked as a lab: it has {', '.join(tables[:3])} … "
                f"Name an empty one, or mark it as one that may be emptied: CREATE TABLE {LAB_MARKER_TABLE} (id INT)."
            )
        if gone := [f"`{name}`" for name in tables if name != LAB_MARKER_TABLE]:
            connection.execute(text("SET foreign_key_checks = 0"))
            connection.execute(text(f"DROP TABLE {', '.join(gone)}"))
        connection.execute(text(f"CREATE TABLE IF NOT EXISTS {LAB_MARKER_TABLE} (id INT)"))


def _table_names(connection: Connection) -> list[str]:
    asked = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY table_name"
    return list(connection.execute(text(asked)).scalars())
