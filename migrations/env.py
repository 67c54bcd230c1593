"""Run migrations on the app's database, one process at a time, without queueing behind a busy table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import context
from sqlalchemy import Connection, text

from webapp.extensions import db

WAIT_FOR_OTHERS = 120
"""Seconds that a second `poolproof serve` waits for the one that is migrating."""
WAIT_FOR_TABLE = 5
"""Seconds a change waits for a table; while it waits, everybody behind it waits too."""


@contextmanager
def alone(connection: Connection) -> Iterator[None]:
    """Hold the server's named lock, so that two machines never migrate at once. SQLite locks its file itself."""
    if connection.dialect.name == "sqlite":
        yield
        return
    connection.execute(text("SET SESSION lock_wait_timeout = :seconds"), {"seconds": WAIT_FOR_TABLE})
    name = {"name": "poolproof_migration", "seconds": WAIT_FOR_OTHERS}
    if connection.execute(text("SELECT GET_LOCK(:name, :seconds)"), name).scalar_one() != 1:
        raise RuntimeError(
            f"Another process has been migrating this database for {WAIT_FOR_OTHERS} s; try again later."
        )
    try:
        yield
    finally:
        connection.execute(text("SELECT RELEASE_LOCK(:name)"), name)


def run() -> None:
    """Bring the database to the wanted revision."""
    with db.engine.connect() as connection, alone(connection):
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            compare_type=True,
            render_as_batch=connection.dialect.name == "sqlite",
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()


if context.is_offline_mode():
    raise SystemExit("Migrations are run against a database; --sql is not offered.")
run()
