"""One number that changes whenever what players may see has changed, so that a look at it replaces all others."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Table, literal, select, true

from webapp.pooling.clock import utc_now
from webapp.pooling.upsert import upsert_from
from webapp.quizzes.models import CatalogMark

_mark: Table = CatalogMark.__table__  # type: ignore[assignment]
THE_ONE = 1


@dataclass(frozen=True)
class Mark:
    """The mark and the database's time, and when they were read on our monotonic clock."""

    value: int | None
    database_time: datetime
    read_at: float

    def now(self) -> datetime:
        """Return the database's time at this moment."""
        return self.database_time + timedelta(seconds=time.monotonic() - self.read_at)


def change(connection: Connection) -> None:
    """Let every worker know, when this transaction commits, that the catalog has changed."""
    # Random and not counted: no two changes can meet in the same value.
    row = select(literal(THE_ONE), literal(secrets.randbits(62))).where(true())
    upsert_from(connection, _mark, ["id", "mark"], row, key=["id"], replace=["mark"])


def look(connection: Connection) -> Mark:
    """Read the mark; one statement."""
    present = select(CatalogMark.mark).where(CatalogMark.id == THE_ONE).scalar_subquery()
    value, now = connection.execute(select(present, utc_now())).one()
    return Mark(value, now, time.monotonic())
