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
BASELINE = "0012"
"""The first revision of these tables; earlier ones had other names of tables."""


class UnknownRevisionError(Exception):
    """The tables were made by another version of Poolproof; the text says what to do."""


def head_revision() -> str:
    """Return the revision that the newest migration leads to; files are named by their revision (a test holds that)."""
    return max(path.name for path in (MIGRATIONS_FOLDER / "versions").glob("[0-9]*.py")).partition("_")[0]


def current_revision(connection: Connection) -> str | None:
    """Return the revision of the tables; None where no migration has run."""
    if not inspect(connection).has_table(REVISION_TABLE):
        return None
    revision: str | None = connection.execute(text(f"SELECT version_num FROM {REVISION_TABLE}")).scalar()  # noqa: S608
    return revision


def check_revision(connection: Connection) -> None:
    """Refuse tables that no migration of this version leads from.

    Raises:
        UnknownRevisionError: when an older or a newer version has made them.
    """
    revision = current_revision(connection)
    known = {path.name.partition("_")[0] for path in (MIGRATIONS_FOLDER / "versions").glob("[0-9]*.py")}
    if revision is None or revision in known:
        return
    if revision < BASELINE:
        raise UnknownRevisionError(
            f"The tables in this database are at revision {revision}, made by an older version of Poolproof; they have "
            "other names now. Export the bank with the checkout that made them (poolproof export items.json), name an "
            "empty schema in DATABASE_URL, and import it with this version (poolproof items import items.json). "
            "Quizzes, attempts and accounts are not carried over."
        )
    raise UnknownRevisionError(
        f"The tables in this database are at revision {revision}, which this version of Poolproof does not know: a "
        "newer one has made them. Run that one, or restore a backup of the tables from before."
    )


def bind_migrations(app: Flask) -> None:
    """Let Flask-Migrate know of the app; without that its functions refuse."""
    from flask_migrate import Migrate

    Migrate(app, db, directory=str(MIGRATIONS_FOLDER))


def upgrade(app: Flask, revision: str = "head") -> None:
    """Run the migrations up to `revision`."""
    from flask_migrate import upgrade as run_migrations

    bind_migrations(app)
    with app.app_context():
        with db.engine.connect() as connection:
            check_revision(connection)
        run_migrations(revision=revision)


def downgrade(app: Flask, revision: str) -> None:
    """Take the migrations after `revision` back."""
    from flask_migrate import downgrade as take_migrations_back

    bind_migrations(app)
    with app.app_context():
        take_migrations_back(revision=revision)
