"""The ledger: limits that hold over all processes and machines, kept in the database on its clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from webapp.collector import rate_policy
from webapp.collector.models import CollectionCall, CollectionQuota
from webapp.collector.rate_policy import DailyLimitReached, QuotaState, RetryAfter
from webapp.collector.sources.base import SourceLimits
from webapp.db.timestamps import database_now

MAX_CALL_DURATION = 90.0
"""Seconds after which a call whose process died counts no more."""


@dataclass(frozen=True)
class Permit:
    """The right to one call, to begin at once."""

    call_id: int


def ensure_row(connection: Connection, source: str) -> None:
    """Make the source's row if there is none."""
    row = connection.execute(select(CollectionQuota.source).where(CollectionQuota.source == source)).first()
    if row is not None:
        return
    now = database_now(connection)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        connection.execute(
            insert(CollectionQuota).values(source=source, day_began_at=midnight, calls=0, free_at=now)
        )  # fmt: skip
    except IntegrityError:
        # Somebody else was faster; a refused statement leaves nothing behind.
        return


def acquire(connection: Connection, source: str, limits: SourceLimits) -> Permit | RetryAfter | DailyLimitReached:
    """Take a turn, if one is free: counted from the commit on, whatever becomes of the call."""
    ledger = _lock_row(connection, source)
    now = database_now(connection)
    its_calls = CollectionCall.source == source
    connection.execute(delete(CollectionCall).where(its_calls, CollectionCall.ends_at < now))
    under_way = connection.scalar(select(func.count()).select_from(CollectionCall).where(its_calls)) or 0
    decided = rate_policy.decide(ledger, limits, now, under_way)
    if not isinstance(decided, QuotaState):
        return decided
    connection.execute(
        update(CollectionQuota)
        .where(CollectionQuota.source == source)
        .values(day_began_at=decided.day_began_at, calls=decided.calls, free_at=decided.free_at)
    )
    made = connection.execute(
        insert(CollectionCall).values(source=source, ends_at=now + timedelta(seconds=MAX_CALL_DURATION))
    )  # fmt: skip
    call: int = made.inserted_primary_key[0]  # type: ignore[index]
    return Permit(call)


def release(connection: Connection, source: str, permit: Permit, limits: SourceLimits) -> None:
    """Give a turn back when its call has ended; seconds-long spacing counts from now as well."""
    if limits.spacing >= rate_policy.RESPONSE_SPACING_THRESHOLD:
        back_off(connection, source, limits.spacing)
    connection.execute(delete(CollectionCall).where(CollectionCall.id == permit.call_id))


def back_off(connection: Connection, source: str, seconds: float) -> None:
    """Let nobody call the source for so many seconds from now on."""
    ledger = _lock_row(connection, source)
    free_at = database_now(connection) + timedelta(seconds=seconds)
    if free_at > ledger.free_at:
        connection.execute(
            update(CollectionQuota).where(CollectionQuota.source == source).values(free_at=free_at)
        )  # fmt: skip


def _lock_row(connection: Connection, source: str) -> QuotaState:
    """Read the source's row and let nobody else do so until the commit."""
    # A SELECT ... FOR UPDATE would lock nothing on SQLite; a write does on every database.
    mine = CollectionQuota.source == source
    connection.execute(update(CollectionQuota).where(mine).values(calls=CollectionQuota.calls))
    columns = (CollectionQuota.day_began_at, CollectionQuota.calls, CollectionQuota.free_at)
    return QuotaState(*connection.execute(select(*columns).where(mine)).one())
