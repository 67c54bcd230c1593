"""One number that changes whenever what players may see has changed, so that a look at it replaces all others."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Table, literal, select, true

from webapp.db.timestamps import utc_now
from webapp.db.upsert import upsert_from
from webapp.quizzes.models import CatalogVersionRow

_catalog_version_table: Table = CatalogVersionRow.__table__  # type: ignore[assignment]
SINGLETON_ID = 1


@dataclass(frozen=True)
class CatalogVersion:
    """The mark and the database's time, and when they were read on our monotonic clock."""

    value: int | None
    database_time: datetime
    read_at: float

    def now(self) -> datetime:
        """Return the database's time at this moment."""
        return self.database_time + timedelta(seconds=time.monotonic() - self.read_at)


def bump(connection: Connection) -> None:
    """Let every worker know, when this transaction commits, that the catalog has changed."""
    # Random and not counted: no two changes can meet in the same value.
    row = select(literal(SINGLETON_ID), literal(secrets.randbits(62))).where(true())
    upsert_from(connection, _catalog_version_table, ["id", "version"], row, key=["id"], replace=["version"])


def read_catalog_version(connection: Connection) -> CatalogVersion:
    """Read the mark; one statement."""
    present = select(CatalogVersionRow.version).where(CatalogVersionRow.id == SINGLETON_ID).scalar_subquery()
    value, now = connection.execute(select(present, utc_now())).one()
    return CatalogVersion(value, now, time.monotonic())
