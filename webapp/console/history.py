"""The fleet's minutes, of all machines that share the database; stored for a day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from webapp.console.models import WorkerMinute
from webapp.db.timestamps import database_now, seconds_ago

RETENTION = timedelta(hours=24)
DELETE_BATCH_SIZE = 500
MAX_POINTS = 1440
SUM_COLUMNS = ("borrows", "busy", "waited", "turned_away", "requests", "statements", "batches", "entries")
PEAK_COLUMNS = ("used_most", "open_most", "waiting_most", "oldest_most")


@dataclass(frozen=True)
class Minute:
    """All workers of one machine in one minute; peaks are sums of the workers' peaks, so they are upper bounds."""

    machine: str
    ended_at: datetime
    workers: int
    used_most: int
    open_most: int
    waiting_most: int
    rejected: int
    requests: int
    busy: float
    checkouts: int


def store_minutes(
    connection: Connection, machine: str, minutes: Sequence[tuple[str, float, Mapping[str, Any]]]
) -> None:
    """Store minutes as (worker, how many seconds ago it ended, its sums and peaks), and delete what is too old."""
    now = database_now(connection)
    rows = [
        {
            "ended_at": now - timedelta(seconds=ago),
            "machine": machine,
            "worker": worker,
            "seconds": minute["seconds"],
            **{name: minute[name] for name in SUM_COLUMNS},
            **{name: minute[name] if name == "oldest_most" else int(minute[name]) for name in PEAK_COLUMNS},
        }
        for worker, ago, minute in minutes
    ]
    if rows:
        connection.execute(insert(WorkerMinute), rows)
    expired = (
        select(WorkerMinute.id)
        .where(WorkerMinute.ended_at < now - RETENTION)
        .order_by(WorkerMinute.ended_at)
        .limit(DELETE_BATCH_SIZE)
    )
    if ids := connection.execute(expired).scalars().all():
        connection.execute(delete(WorkerMinute).where(WorkerMinute.id.in_(ids)))


def load_minutes(connection: Connection, seconds: int) -> list[Minute]:
    """Return the minutes of the last `seconds`, by machine, the earliest first."""
    # Workers end their minutes at different seconds; they are summed by the minute of the clock.
    minute = func.substr(WorkerMinute.ended_at, 1, 16)
    rows = connection.execute(
        select(
            WorkerMinute.machine,
            func.max(WorkerMinute.ended_at),
            func.count(WorkerMinute.worker.distinct()),
            func.sum(WorkerMinute.used_most),
            func.sum(WorkerMinute.open_most),
            func.max(WorkerMinute.waiting_most),
            func.sum(WorkerMinute.turned_away),
            func.sum(WorkerMinute.requests),
            func.sum(WorkerMinute.busy),
            func.sum(WorkerMinute.borrows),
        )
        .where(WorkerMinute.ended_at >= seconds_ago(seconds))
        .group_by(WorkerMinute.machine, minute)
        .order_by(func.max(WorkerMinute.ended_at).desc())
        .limit(MAX_POINTS)
    )
    return [_to_minute(row) for row in rows][::-1]


def _to_minute(row: Any) -> Minute:
    values: list[int] = [int(value) for value in row[2:8]]
    workers, used, opened, waiting, rejected, requests = values
    return Minute(row[0], row[1], workers, used, opened, waiting, rejected, requests, float(row[8]), int(row[9]))
