"""The revision of the database's tables: which it is, which it should be, and the way there.

Whether the tables are current is asked at every start, so it is one statement and needs no Alembic. Migrations
themselves are rare: what they need is loaded when they run.
"""

from __future__ import annotations

from flask import Flask
from sqlalchemy import Connection, inspect, text

from webapp.extensions import db
from webapp.settings import PROJECT_ROOT

MIGRATIONS_FOLDER = PROJECT_ROOT / "migrations"
REVISION_TABLE = "alembic_version"


def head_revision() -> str:
    """Return the revision that the newest migration leads to; files are named by their revision (a test holds that)."""
    return max(path.name for path in (MIGRATIONS_FOLDER / "versions").glob("[0-9]*.py")).partition("_")[0]


def current_revision(connection: Connection) -> str | None:
    """Return the revision of the tables; None where no migration has run."""
    if not inspect(connection).has_table(REVISION_TABLE):
        return None
    revision: str | None = connection.execute(text(f"SELECT version_num FROM {REVISION_TABLE}")).scalar()  # noqa: S608
    return revision


def bind_migrations(app: Flask) -> None:
    """Let Flask-Migrate know of the app; without that its functions refuse."""
    from flask_migrate import Migrate

    Migrate(app, db, directory=str(MIGRATIONS_FOLDER))


def upgrade(app: Flask, revision: str = "head") -> None:
    """Run the migrations up to `revision`."""
    from flask_migrate import upgrade as run_migrations

    bind_migrations(app)
    with app.app_context():
        run_migrations(revision=revision)


def downgrade(app: Flask, revision: str) -> None:
    """Take the migrations after `revision` back."""
    from flask_migrate import downgrade as take_migrations_back

    bind_migrations(app)
    with app.app_context():
        take_migrations_back(revision=revision)
