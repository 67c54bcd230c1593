"""The revision of the database's tables: the present one, the newest one, and migrations between them.

Whether the tables are current is checked at every start, by one statement and without Alembic. Migrations themselves
are rare: Alembic is imported when they run.
"""

from __future__ import annotations

from flask import Flask
from sqlalchemy import Connection, inspect, text

from webapp.extensions import db
from webapp.settings import PROJECT_ROOT

MIGRATIONS_FOLDER = PROJECT_ROOT / "migrations"
REVISION_TABLE = "alembic_version"


def head_revision() -> str:
    """Return the revision that the newest migration leads to; files are named by revision (a test checks that)."""
    return max(path.name for path in (MIGRATIONS_FOLDER / "versions").glob("[0-9]*.py")).partition("_")[0]


def current_revision(connection: Connection) -> str | None:
    """Return the revision of the tables; None where no migration was run."""
    if not inspect(connection).has_table(REVISION_TABLE):
        return None
    revision: str | None = connection.execute(text(f"SELECT version_num FROM {REVISION_TABLE}")).scalar()  # noqa: S608
    return revision


def bind_migrations(app: Flask) -> None:
    """Bind Flask-Migrate to the app, which its functions require."""
    from flask_migrate import Migrate

    Migrate(app, db, directory=str(MIGRATIONS_FOLDER))


def upgrade(app: Flask, revision: str = "head") -> None:
    """Run the migrations up to `revision`."""
    from flask_migrate import upgrade as run_migrations

    bind_migrations(app)
    with app.app_context():
        run_migrations(revision=revision)


def downgrade(app: Flask, revision: str) -> None:
    """Revert the migrations after `revision`."""
    from flask_migrate import downgrade as revert_migrations

    bind_migrations(app)
    with app.app_context():
        revert_migrations(revision=revision)
