"""The pool that a drill loads: ours, or SQLAlchemy's own with its defaults, under the same units of work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, create_engine, event, make_url, text

from poolproof.engine import configure_engine, engine_options
from poolproof.leaks.leak_detector import LeakDetector
from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.lab.drills.paced_load import Unit

NOTES_TABLE = "poolproof_lab_note"
ROWS = 16
READ_QUERY = text(f"SELECT note FROM {NOTES_TABLE} WHERE id = :id")  # noqa: S608 - a constant
WRITE_QUERY = text(f"UPDATE {NOTES_TABLE} SET note = :note WHERE id = :id")  # noqa: S608
SLEEP_QUERY = text("SELECT SLEEP(:seconds)")
CREATE_NOTES = (
    f"DROP TABLE IF EXISTS {NOTES_TABLE}",
    f"CREATE TABLE {NOTES_TABLE} (id INT NOT NULL PRIMARY KEY, note INT NOT NULL)",
    f"INSERT INTO {NOTES_TABLE} VALUES {', '.join(f'({number}, 0)' for number in range(ROWS))}",  # noqa: S608
)


@dataclass
class PoolUnderTest:
    """A pool under load; SQLAlchemy's own has no leak detector, and a write on it is not retried."""

    work: UnitOfWork
    leak_detector: LeakDetector | None
    connection_ids: set[int] = field(default_factory=set)
    """The server's ids of all connections that were ever opened."""

    def read_or_write(self, thread: int, iteration: int) -> None:
        """A unit of work that reads and writes alternately."""
        if iteration % 2:
            self.write(thread, iteration)
        else:
            self.read(thread, iteration)

    def read(self, thread: int, iteration: int) -> None:
        """Read one row."""
        with self.work.read() as connection:
            connection.execute(READ_QUERY, {"id": thread % ROWS}).scalar_one()

    def write(self, thread: int, iteration: int) -> None:
        """Write one row; the write is idempotent."""

        def update(connection: Connection) -> None:
            connection.execute(WRITE_QUERY, {"id": thread % ROWS, "note": iteration})

        # The retry is a part of the protection.
        self.work.run_in_transaction(update, idempotent=self.leak_detector is not None)

    def make_sleep_unit(self, seconds: float) -> Unit:
        """Return a unit whose statement takes so long."""

        def unit(thread: int, iteration: int) -> None:
            with self.work.read() as connection:
                connection.execute(SLEEP_QUERY, {"seconds": seconds}).scalar_one()

        return unit


@contextmanager
def create_pool(database_url: str, threads: int, *, is_poolproof: bool, **settings: Any) -> Iterator[PoolUnderTest]:
    """Create our pool with these settings (as POOL_*), or SQLAlchemy's own with its defaults."""
    if is_poolproof:
        pool_settings = PoolSettings(**settings)
        engine = create_engine(database_url, **engine_options(pool_settings, make_url(database_url), threads))
        pool = PoolUnderTest(UnitOfWork(engine), configure_engine(engine, pool_settings, "drill"))
    else:
        engine = create_engine(database_url)
        pool = PoolUnderTest(UnitOfWork(engine), None)

    @event.listens_for(engine, "connect")
    def record_id(dbapi_connection: Any, record: Any) -> None:
        pool.connection_ids.add(dbapi_connection.thread_id())

    try:
        yield pool
    finally:
        engine.dispose()
