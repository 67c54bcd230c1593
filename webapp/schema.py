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
BASELINE = "0012"
"""The first revision of these tables; earlier ones had other names of tables."""


class UnknownRevisionError(Exception):
    """The tables were made by another version of Poolproof; the text says what to do."""


def head_revision() -> str:
    """Return the revision that the newest migration leads to; files are named by revision (a test checks that)."""
    return max(known_revisions())


def known_revisions() -> set[str]:
    """Return the revisions of all migrations of this version."""
    return {path.name.partition("_")[0] for path in (MIGRATIONS_FOLDER / "versions").glob("[0-9]*.py")}


def current_revision(connection: Connection) -> str | None:
    """Return the revision of the tables; None where no migration was run."""
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
    if revision is None or revision in known_revisions():
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
    """Bind Flask-Migrate to the app, which its functions require."""
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
    """Revert the migrations after `revision`."""
    from flask_migrate import downgrade as revert_migrations

    bind_migrations(app)
    with app.app_context():
        revert_migrations(revision=revision)
