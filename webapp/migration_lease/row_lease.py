"""The lease on MySQL and MariaDB: a row with a heartbeat, which holds for every node of a cluster.

GET_LOCK is local to a node. The row's heartbeat is on the database's clock. A thread renews it on a connection of its
own, with time-outs of its own, however long the holder's statement takes. When the heartbeat is older than
`EXPIRES_AFTER`, another process takes the lease over. The row also says which migration has begun and not ended: DDL is
not transactional there.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    MetaData,
    SmallInteger,
    String,
    Table,
    create_engine,
    inspect,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.schema import CreateTable

from poolproof.engine import configure_engine, engine_options
from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.db.timestamps import seconds_ago, utc_now
from webapp.db.types import MYSQL_TABLE_OPTIONS, UtcDateTime
from webapp.db.upsert import upsert_from
from webapp.migration_lease.lease import MigrationError, wait_for_lease

EXPIRES_AFTER = 30.0
"""Seconds without a heartbeat after which another process takes the lease over."""
RENEWED_EVERY = 5.0
RENEWAL_TIMEOUT = 10.0
"""Seconds that one renewal may take; the lease outlives one that is missed."""
LEASE_ID = 1
LEASE_TABLE = "migration_lease"
NOBODY = ""

_lease = Table(
    LEASE_TABLE,
    # No model: the tables of the service are migrated under this lease, so it cannot be one of them.
    MetaData(),
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("owner", String(200), nullable=False),
    Column("heartbeat_at", UtcDateTime, nullable=False),
    Column("unfinished", String(32)),
    **MYSQL_TABLE_OPTIONS,
)


def unfinished_revision(connection: Connection) -> str | None:
    """Return the migration that has begun and not ended, because a process or a server was killed; None: none."""
    if not inspect(connection).has_table(LEASE_TABLE):
        return None
    return connection.execute(select(_lease.c.unfinished).where(_lease.c.id == LEASE_ID)).scalar()


class RowLease:
    """On MySQL and MariaDB: the row names this process, and a thread renews it."""

    def __init__(self, work: UnitOfWork, owner: str) -> None:
        """Hold a lease that was just acquired for `owner`."""
        self._work = work
        self._owner = owner
        self._renewed_at = time.monotonic()
        self._stop_event = threading.Event()
        self._lost_reason: str | None = None
        """Why the lease is lost; None while it is held."""
        self._break_connection: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._keep_renewing, name="migration-lease", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Renew the lease; see `Lease`."""
        self.raise_if_lost()
        if not self._update(heartbeat_at=utc_now()):
            self._lose("Another process has taken the lease on this database over, because this one stood still.")
            self.raise_if_lost()

    def lock(self, connection: Connection) -> None:
        """Lock the row in the transaction of `connection`; see `Lease`."""
        owner = connection.execute(select(_lease.c.owner).where(_lease.c.id == LEASE_ID).with_for_update()).scalar()
        if owner != self._owner:
            raise MigrationError(f"Another process ({owner}) has taken the lease on this database over.")

    def set_unfinished(self, revision: str | None) -> None:
        """Note it in the row; see `Lease`."""
        self.check()
        self._update(heartbeat_at=utc_now(), unfinished=revision)

    def protect(self, connection: Connection) -> None:
        """Remember the connection; see `Lease`."""
        dbapi_connection: Any = connection.connection.dbapi_connection
        self._break_connection = dbapi_connection.abort

    def end(self) -> None:
        """Stop renewing, and give the lease back."""
        self._stop_event.set()
        self._thread.join()
        # A server that is gone gives it back by time.
        with suppress(SQLAlchemyError):
            self._update(owner=NOBODY)

    def raise_if_lost(self, cause: Exception | None = None) -> None:
        """Raise the reason why the lease is lost, if it is.

        Raises:
            MigrationError: when it is lost.
        """
        if self._lost_reason is not None:
            raise MigrationError(self._lost_reason) from cause

    def _keep_renewing(self) -> None:
        while not self._stop_event.wait(RENEWED_EVERY):
            try:
                if not self._update(heartbeat_at=utc_now()):
                    self._lose("Another process has taken the lease on this database over.")
            except SQLAlchemyError:
                # The next one may succeed; nobody takes the lease before it expires.
                if time.monotonic() - self._renewed_at > EXPIRES_AFTER:
                    self._lose(f"The database has not answered for {EXPIRES_AFTER:g} s; start again when it does.")
            if self._lost_reason is not None:
                return

    def _update(self, **values: Any) -> bool:
        """Change the row if it is still this process's; say whether it is."""
        began_at = time.monotonic()
        own_row = update(_lease).where(_lease.c.id == LEASE_ID, _lease.c.owner == self._owner)
        with self._work.autocommit() as connection:
            is_held = connection.execute(own_row.values(**values)).rowcount == 1
        if is_held:
            self._renewed_at = began_at
        return is_held

    def _lose(self, reason: str) -> None:
        self._lost_reason = f"{reason} What this one had begun is continued by the next start."
        if self._break_connection is not None:
            self._break_connection()


@contextmanager
def hold_row(url: URL, settings: PoolSettings) -> Iterator[RowLease]:
    """Hold the row for a block; see `hold`."""
    engine = _create_engine(url, settings)
    work = UnitOfWork(engine)
    owner = f"{socket.gethostname()}, process {os.getpid()}, {secrets.token_hex(8)}"
    try:
        with work.autocommit() as connection:
            connection.execute(CreateTable(_lease, if_not_exists=True))
        wait_for_lease(
            lambda: work.run_in_transaction(lambda connection: _try_acquire(connection, owner), idempotent=True)
        )
        lease = RowLease(work, owner)
        try:
            yield lease
        except DBAPIError as error:
            # What was waited for, if that is why the statement failed.
            lease.raise_if_lost(error)
            raise
        finally:
            lease.end()
    finally:
        engine.dispose()


def _try_acquire(connection: Connection, owner: str) -> str | None:
    """Take the lease if it is free or has expired; return None then, otherwise who has it."""
    free = select(literal(LEASE_ID), literal(NOBODY), utc_now()).where(true())
    upsert_from(connection, _lease, ["id", "owner", "heartbeat_at"], free, key=["id"])
    # A heartbeat in the future: the server's clock was put back.
    heartbeat = _lease.c.heartbeat_at
    is_expired = or_(heartbeat < seconds_ago(EXPIRES_AFTER), heartbeat > seconds_ago(-EXPIRES_AFTER))
    is_free = or_(_lease.c.owner.in_([NOBODY, owner]), is_expired)
    taken = update(_lease).where(_lease.c.id == LEASE_ID, is_free).values(owner=owner, heartbeat_at=utc_now())
    if connection.execute(taken).rowcount == 1:
        return None
    holder: str = connection.execute(select(_lease.c.owner).where(_lease.c.id == LEASE_ID)).scalar_one()
    return holder.rpartition(",")[0]


def _create_engine(url: URL, settings: PoolSettings) -> Engine:
    """Return an engine with one connection, kept open so that a full server cannot end the lease."""
    settings = replace(
        settings, pool_class="queue", size=1, max_overflow=0, min_idle=1, max_waiting=None, codel_target=0.0,
        timeout=RENEWAL_TIMEOUT, request_deadline=max(settings.request_deadline, RENEWAL_TIMEOUT),
        read_timeout=RENEWAL_TIMEOUT, statement_timeout=0.9 * RENEWAL_TIMEOUT,
    )  # fmt: skip
    engine = create_engine(url, **engine_options(settings, url, threads=1))
    configure_engine(engine, settings, "lease")
    return engine
