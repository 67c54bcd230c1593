"""One number that changes whenever something that players may see changes, so that one read of it validates caches."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Table, literal, select, true

from webapp.db.timestamps import utc_now
from webapp.db.upsert import upsert_from
from webapp.quizzes.models import CatalogVersionRow

_catalog_version_table: Table = CatalogVersionRow.__table__  # type: ignore[assignment]
SINGLETON_ID = 1


@dataclass(frozen=True)
class CatalogVersion:
    """The version and the database's time, and when they were read on this process's monotonic clock."""

    value: int | None
    database_time: datetime
    read_at: float


def bump(connection: Connection) -> None:
    """Change the version when this transaction commits, which invalidates the caches of all workers."""
    # Random, not a counter: concurrent changes never have the same value.
    row = select(literal(SINGLETON_ID), literal(secrets.randbits(62))).where(true())
    upsert_from(connection, _catalog_version_table, ["id", "version"], row, key=["id"], replace=["version"])


def read_catalog_version(connection: Connection) -> CatalogVersion:
    """Read the version; one statement."""
    present = select(CatalogVersionRow.version).where(CatalogVersionRow.id == SINGLETON_ID).scalar_subquery()
    value, now = connection.execute(select(present, utc_now())).one()
    return CatalogVersion(value, now, time.monotonic())
