"""The revision of the database's tables: the present one, the newest one, and migrations between them.

Whether the tables are current is checked at every start, by a few statements and without Alembic. Migrations themselves
are rare: Alembic is imported when they run. They run one by one, under a lease, on a connection without the app's
time-outs. One that was killed midway is run again, up or down: what of it is there already stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from flask import Flask
from sqlalchemy import URL, Connection, Engine, event, inspect, make_url, text

from poolproof.engine import create_unpooled_engine
from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.extensions import db
from webapp.migration_lease.hold import hold
from webapp.migration_lease.lease import Lease, MigrationError
from webapp.migration_lease.row_lease import unfinished_revision
from webapp.settings import PROJECT_ROOT, Settings

MIGRATIONS_FOLDER = PROJECT_ROOT / "migrations"
REVISION_TABLE = "alembic_version"
BASELINE = "0012"
"""The first revision of these tables; earlier ones had other names of tables."""

WAIT_FOR_TABLE = 5
"""Seconds that a change waits for a table; while it waits, everybody behind it waits too."""
NO_LIMIT = 3600.0
"""Seconds; the most that a setting allows. What it bounds is bounded otherwise in a migration."""


class UnknownRevisionError(MigrationError):
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
        UnknownRevisionError: when an older or a newer version has made them, or has begun to.
    """
    for revision in (current_revision(connection), unfinished_revision(connection)):
        if revision is not None and revision not in known_revisions():
            raise _unknown_revision_error(revision)


def is_current(connection: Connection) -> bool:
    """Say whether the newest migration has run, and none was killed midway."""
    return current_revision(connection) == head_revision() and unfinished_revision(connection) is None


def _unknown_revision_error(revision: str) -> UnknownRevisionError:
    if revision < BASELINE:
        return UnknownRevisionError(
            f"The tables in this database are at revision {revision}, made by an older version of Poolproof; they have "
            "other names now. Export the bank with the checkout that made them (poolproof export items.json), name an "
            "empty schema in DATABASE_URL, and import it with this version (poolproof items import items.json). "
            "Quizzes, attempts and accounts are not carried over."
        )
    return UnknownRevisionError(
        f"The tables in this database are at revision {revision}, which this version of Poolproof does not know: a "
        "newer one has made them. Run that one, or restore a backup of the tables from before."
    )


def bind_migrations(app: Flask) -> None:
    """Bind Flask-Migrate to the app, which its functions require."""
    from flask_migrate import Migrate

    Migrate(app, db, directory=str(MIGRATIONS_FOLDER))


def create_migration_engine(url: URL, settings: PoolSettings) -> Engine:
    """Return an engine whose connections let a statement take any time, but wait for a table for a moment only.

    A server that is gone is found by TCP's keep-alive, one that is mute by the lease, which it does not renew.
    """
    limits: dict[str, Any] = {"write_timeout": NO_LIMIT, "leak_threshold": NO_LIMIT}
    engine = create_unpooled_engine(url, replace(settings, **limits), "migration")
    if engine.dialect.name != "sqlite":

        @event.listens_for(engine, "connect")
        def lift_limits(dbapi_connection: Any, record: Any) -> None:
            dbapi_connection.lift_time_limits()
            with dbapi_connection.cursor() as cursor:
                cursor.execute("SET SESSION lock_wait_timeout = %s", (WAIT_FOR_TABLE,))

    return engine


def upgrade(app: Flask, revision: str = "head", lease: Lease | None = None) -> None:
    """Run the migrations up to `revision`: one of `known_revisions`, `head`, or `+1` and so on.

    Raises:
        MigrationError: when the tables are another version's, another process keeps the lease or a table is busy.
    """
    with _migrating(app, lease) as migration:
        migration.go_up(revision)


def downgrade(app: Flask, revision: str, lease: Lease | None = None) -> None:
    """Revert the migrations after `revision`: one of `known_revisions`, `base`, or `-1` and so on.

    Raises:
        MigrationError: as `upgrade`.
    """
    with _migrating(app, lease) as migration:
        migration.go_down(revision)


@contextmanager
def _migrating(app: Flask, lease: Lease | None) -> Iterator[_Migration]:
    settings: Settings = app.config["SETTINGS"]
    url = make_url(settings.database_url)
    if lease is None:
        with hold(url, settings.pool) as held, _migrating(app, held) as migration:
            yield migration
        return
    bind_migrations(app)
    work = UnitOfWork(create_migration_engine(url, settings.pool))
    with work.read() as connection:
        check_revision(connection)
    with app.app_context():
        yield _Migration(work, lease, sorted(known_revisions()))


@dataclass(frozen=True)
class _Migration:
    """The way from the present revision to another; a place is an index in `revisions`, -1 where nothing has run."""

    work: UnitOfWork
    lease: Lease
    revisions: list[str]

    def go_up(self, target: str) -> None:
        """Run what lies above the present place; of a migration that was killed, everything again."""
        place = self._start(is_up=True)
        for number in range(place + 1, self._find(target, place) + 1):
            self._run("upgrade", number, self.revisions[number])

    def go_down(self, target: str) -> None:
        """Revert what lies above the target; of a migration that was killed, everything again."""
        place = self._start(is_up=False)
        for number in range(place, self._find(target, place), -1):
            self._run("downgrade", number, self._name(number - 1))

    def _start(self, *, is_up: bool) -> int:
        """Return the present place; a migration that was killed has yet to run, and has yet to be reverted."""
        with self.work.read() as connection:
            current, unfinished = current_revision(connection), unfinished_revision(connection)
        place = self.revisions.index(current) if current else -1
        if unfinished is None:
            return place
        place = self.revisions.index(unfinished) - is_up
        if self._name(place) != (current or "base"):
            self._run_command("stamp", self._name(place), purge=True)
        return place

    def _find(self, target: str, place: int) -> int:
        if target[:1] in {"+", "-"} and target[1:].isdecimal():
            return max(-1, min(place + int(target), len(self.revisions) - 1))
        if target in {"head", "heads"}:
            return len(self.revisions) - 1
        if target in self.revisions:
            return self.revisions.index(target)
        if target == "base":
            return -1
        raise MigrationError(f"There is no revision {target}; there are {', '.join(self.revisions)}.")

    def _name(self, place: int) -> str:
        return self.revisions[place] if place >= 0 else "base"

    def _run(self, command: str, number: int, target: str) -> None:
        self.lease.set_unfinished(self.revisions[number])
        self._run_command(command, target)
        self.lease.set_unfinished(None)

    def _run_command(self, command: str, target: str, **arguments: Any) -> None:
        """Call one of Alembic's commands on a connection of its own."""
        from alembic import command as commands
        from alembic.config import Config

        is_sqlite = self.work.engine.dialect.name == "sqlite"
        # Its DDL is transactional. Elsewhere each statement stands for itself, as DDL does in any case.
        with self.work.transaction() if is_sqlite else self.work.autocommit() as connection:
            self.lease.protect(connection)
            config = Config(attributes={"connection": connection, "lease": self.lease})
            # The parser of such files takes a percent sign for its own.
            config.set_main_option("script_location", str(MIGRATIONS_FOLDER).replace("%", "%%"))
            getattr(commands, command)(config, target, **arguments)
