"""The ledger: limits that hold over all processes and machines, kept in the database on its clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from webapp.collector import pacing
from webapp.collector.models import CollectionCall, CollectionLedger
from webapp.collector.pacing import Ledger, Spent, Wait
from webapp.collector.sources.protocol import Limits
from webapp.pooling.clock import present_time

LONGEST_CALL = 90.0
"""Seconds after which a call whose process died counts no more."""


@dataclass(frozen=True)
class Turn:
    """The right to one call, to begin at once."""

    call: int


def open_for(connection: Connection, source: str) -> None:
    """Make the source's row if there is none."""
    row = connection.execute(select(CollectionLedger.source).where(CollectionLedger.source == source)).first()
    if row is not None:
        return
    now = present_time(connection)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        connection.execute(
            insert(CollectionLedger).values(source=source, day_began_at=midnight, calls=0, free_at=now)
        )  # fmt: skip
    except IntegrityError:
        # Somebody else was faster; a refused statement leaves nothing behind.
        return


def reserve(connection: Connection, source: str, limits: Limits) -> Turn | Wait | Spent:
    """Take a turn, if one is free: counted from the commit on, whatever becomes of the call."""
    ledger = _locked(connection, source)
    now = present_time(connection)
    its_calls = CollectionCall.source == source
    connection.execute(delete(CollectionCall).where(its_calls, CollectionCall.ends_at < now))
    under_way = connection.scalar(select(func.count()).select_from(CollectionCall).where(its_calls)) or 0
    decided = pacing.decide(ledger, limits, now, under_way)
    if not isinstance(decided, Ledger):
        return decided
    connection.execute(
        update(CollectionLedger)
        .where(CollectionLedger.source == source)
        .values(day_began_at=decided.day_began_at, calls=decided.calls, free_at=decided.free_at)
    )
    made = connection.execute(
        insert(CollectionCall).values(source=source, ends_at=now + timedelta(seconds=LONGEST_CALL))
    )  # fmt: skip
    call: int = made.inserted_primary_key[0]  # type: ignore[index]
    return Turn(call)


def end(connection: Connection, source: str, turn: Turn, limits: Limits) -> None:
    """Give a turn back when its call has ended; seconds-long spacing counts from now as well."""
    if limits.spacing >= pacing.COUNTED_FROM_REPLY:
        leave_alone(connection, source, limits.spacing)
    connection.execute(delete(CollectionCall).where(CollectionCall.id == turn.call))


def leave_alone(connection: Connection, source: str, seconds: float) -> None:
    """Let nobody call the source for so many seconds from now on."""
    ledger = _locked(connection, source)
    free_at = present_time(connection) + timedelta(seconds=seconds)
    if free_at > ledger.free_at:
        connection.execute(
            update(CollectionLedger).where(CollectionLedger.source == source).values(free_at=free_at)
        )  # fmt: skip


def _locked(connection: Connection, source: str) -> Ledger:
    """Read the source's row and let nobody else do so until the commit."""
    # A SELECT ... FOR UPDATE would lock nothing on SQLite; a write does on every database.
    mine = CollectionLedger.source == source
    connection.execute(update(CollectionLedger).where(mine).values(calls=CollectionLedger.calls))
    columns = (CollectionLedger.day_began_at, CollectionLedger.calls, CollectionLedger.free_at)
    return Ledger(*connection.execute(select(*columns).where(mine)).one())
