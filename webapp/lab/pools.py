"""The pool that a drill loads: ours, or SQLAlchemy's own with its defaults, under the same units of work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, create_engine, event, make_url, text

from webapp.lab.steady import Unit
from webapp.pooling.engine import engine_options, prepare_engine
from webapp.pooling.settings import PoolSettings
from webapp.pooling.watch import Watch
from webapp.pooling.work import Work

NOTES = "poolproof_lab_note"
ROWS = 16
READ = text(f"SELECT note FROM {NOTES} WHERE id = :id")  # noqa: S608 - a constant
WRITE = text(f"UPDATE {NOTES} SET note = :note WHERE id = :id")  # noqa: S608
SLEEP = text("SELECT SLEEP(:seconds)")
MAKE_NOTES = (
    f"DROP TABLE IF EXISTS {NOTES}",
    f"CREATE TABLE {NOTES} (id INT NOT NULL PRIMARY KEY, note INT NOT NULL)",
    f"INSERT INTO {NOTES} VALUES {', '.join(f'({number}, 0)' for number in range(ROWS))}",  # noqa: S608
)


@dataclass
class LoadedPool:
    """A pool under load; `watch` looks after ours, the stock one has none (and a lost unit is not asked again)."""

    work: Work
    watch: Watch | None
    connections: set[int] = field(default_factory=set)
    """The server's numbers of all connections that were ever made."""

    def mixed(self, number: int, turn: int) -> None:
        """Read and write by turns: a unit of work."""
        if turn % 2:
            self.write(number, turn)
        else:
            self.read(number, turn)

    def read(self, number: int, turn: int) -> None:
        """Read one row."""
        with self.work.read() as connection:
            connection.execute(READ, {"id": number % ROWS}).scalar_one()

    def write(self, number: int, turn: int) -> None:
        """Write one row; it may take effect twice as well as once."""

        def deed(connection: Connection) -> None:
            connection.execute(WRITE, {"id": number % ROWS, "note": turn})

        # To ask again is a part of the protection.
        self.work.transact(deed, idempotent=self.watch is not None)

    def sleeping(self, seconds: float) -> Unit:
        """Return a unit whose statement takes so long."""

        def unit(number: int, turn: int) -> None:
            with self.work.read() as connection:
                connection.execute(SLEEP, {"seconds": seconds}).scalar_one()

        return unit


@contextmanager
def loaded_pool(address: str, threads: int, *, is_ours: bool, **settings: Any) -> Iterator[LoadedPool]:
    """Make a pool; `settings` are those of ours, as POOL_* would have them."""
    if is_ours:
        chosen = PoolSettings.model_validate(settings)
        engine = create_engine(address, **engine_options(chosen, make_url(address), threads))
        pool = LoadedPool(Work(engine), prepare_engine(engine, chosen, "drill"))
    else:
        engine = create_engine(address)
        pool = LoadedPool(Work(engine), None)

    @event.listens_for(engine, "connect")
    def note(dbapi_connection: Any, record: Any) -> None:
        pool.connections.add(dbapi_connection.thread_id())

    try:
        yield pool
    finally:
        engine.dispose()
