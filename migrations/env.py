"""Run migrations on the connection that `webapp.schema` has opened; what only looks gets one of its own."""

from __future__ import annotations

from alembic import context
from flask import current_app
from sqlalchemy import Connection, make_url

from webapp.extensions import db
from webapp.migration_lease.row_lease import LEASE_TABLE
from webapp.schema import create_migration_engine
from webapp.settings import Settings


def is_migrated(name: str | None, kind: str, parents: object) -> bool:
    """Leave out the table of the lease under which migrations run: it is no model, and stays."""
    return (kind, name) != ("table", LEASE_TABLE)


def run(connection: Connection) -> None:
    """Do what Alembic was called for."""
    context.configure(
        connection=connection,
        target_metadata=db.metadata,
        compare_type=True,
        include_name=is_migrated,
        render_as_batch=connection.dialect.name == "sqlite",
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    raise SystemExit("Migrations are run against a database; --sql is not offered.")
if (given := context.config.attributes.get("connection")) is not None:
    run(given)
else:
    settings: Settings = current_app.config["SETTINGS"]
    with create_migration_engine(make_url(settings.database_url), settings.pool).connect() as own:
        run(own)
        own.commit()
