"""The quota of a source, for all processes and machines together: kept in the database, by the database's clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, delete, func, insert, literal, select, true, update

from webapp.collector import rate_policy
from webapp.collector.models import CollectionCall, CollectionQuota
from webapp.collector.rate_policy import DailyLimitReached, QuotaState, RetryAfter
from webapp.collector.sources.base import SourceLimits
from webapp.db.timestamps import database_now
from webapp.db.types import UtcDateTime
from webapp.db.upsert import upsert_from

MAX_CALL_DURATION = 90.0
"""Seconds after which a call whose process died is no longer counted."""


@dataclass(frozen=True)
class Permit:
    """The right to make one call now."""

    call_id: int


def ensure_row(connection: Connection, source: str) -> None:
    """Create the source's row if there is none."""
    row = connection.execute(select(CollectionQuota.source).where(CollectionQuota.source == source)).first()
    if row is None:
        lock_source(connection, source)


def lock_source(connection: Connection, source: str) -> None:
    """Create the source's row if there is none, and lock it until the commit.

    Of all processes and machines, one transaction at a time passes here for a source.
    """
    now = database_now(connection)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    row = select(literal(source), literal(midnight, UtcDateTime()), literal(0), literal(now, UtcDateTime()))
    columns = ("source", "day_began_at", "calls", "free_at")
    upsert_from(connection, CollectionQuota.__table__, columns, row.where(true()), key=("source",))  # type: ignore[arg-type]


def acquire(connection: Connection, source: str, limits: SourceLimits) -> Permit | RetryAfter | DailyLimitReached:
    """Reserve a call, if one is allowed now: it counts from the commit on, whatever becomes of it."""
    state = _lock_row(connection, source)
    now = database_now(connection)
    is_of_source = CollectionCall.source == source
    connection.execute(delete(CollectionCall).where(is_of_source, CollectionCall.ends_at < now))
    in_flight = connection.scalar(select(func.count()).select_from(CollectionCall).where(is_of_source)) or 0
    decision = rate_policy.decide(state, limits, now, in_flight)
    if not isinstance(decision, QuotaState):
        return decision
    connection.execute(
        update(CollectionQuota)
        .where(CollectionQuota.source == source)
        .values(day_began_at=decision.day_began_at, calls=decision.calls, free_at=decision.free_at)
    )
    result = connection.execute(
        insert(CollectionCall).values(source=source, ends_at=now + timedelta(seconds=MAX_CALL_DURATION))
    )
    call_id: int = result.inserted_primary_key[0]  # type: ignore[index]
    return Permit(call_id)


def release(connection: Connection, source: str, permit: Permit, limits: SourceLimits) -> None:
    """Return a permit when its call has ended; a long spacing counts from now as well."""
    if limits.spacing >= rate_policy.RESPONSE_SPACING_THRESHOLD:
        back_off(connection, source, limits.spacing)
    connection.execute(delete(CollectionCall).where(CollectionCall.id == permit.call_id))


def back_off(connection: Connection, source: str, seconds: float) -> None:
    """Allow no process to call the source for so many seconds from now on."""
    state = _lock_row(connection, source)
    free_at = database_now(connection) + timedelta(seconds=seconds)
    if free_at > state.free_at:
        connection.execute(update(CollectionQuota).where(CollectionQuota.source == source).values(free_at=free_at))


def _lock_row(connection: Connection, source: str) -> QuotaState:
    """Read the source's row and lock it until the commit."""
    # SELECT ... FOR UPDATE locks nothing on SQLite; an UPDATE locks the row on every database.
    is_of_source = CollectionQuota.source == source
    connection.execute(update(CollectionQuota).where(is_of_source).values(calls=CollectionQuota.calls))
    columns = (CollectionQuota.day_began_at, CollectionQuota.calls, CollectionQuota.free_at)
    return QuotaState(*connection.execute(select(*columns).where(is_of_source)).one())
