"""Collection runs: queued, claimed by one worker at a time, cancelled and resumed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, insert, or_, select, update

from webapp.collector import quota
from webapp.collector.models import CollectionCall, CollectionEvent, CollectionPartition, CollectionRun
from webapp.db.page import Page, page_of
from webapp.db.timestamps import seconds_ago, utc_now
from webapp.errors import CollectionStateError, NotFoundError
from webapp.messages import join_messages, message

HEARTBEAT_TIMEOUT = 30.0
"""Seconds without a heartbeat after which a run's worker counts as dead."""
MAX_EVENTS = 200
"""The latest events of a run that are shown."""


class Status(StrEnum):
    """The status of a run."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


ACTIVE_STATUSES = (Status.QUEUED, Status.RUNNING, Status.PAUSED)


@dataclass(frozen=True)
class Run:
    """A collection run; the counts are of records, `expected` is None when the source does not tell it."""

    id: int
    source: str
    status: str
    ordered_by: str | None
    ordered_at: datetime
    began_at: datetime | None
    ended_at: datetime | None
    resumes_at: datetime | None
    worker: str | None
    claim: int
    expected: int | None
    returned: int
    new: int
    changed: int
    duplicate: int
    rejected: int
    calls: int
    error: str | None

    @property
    def is_active(self) -> bool:
        """Whether it is queued, running, or will be resumed automatically."""
        return self.status in ACTIVE_STATUSES


@dataclass(frozen=True)
class RunEvent:
    """An event of a run."""

    at: datetime
    kind: str
    text: str


@dataclass(frozen=True)
class PartitionProgress:
    """The progress of a partition."""

    title: str
    expected: int | None
    returned: int
    is_done: bool


@dataclass(frozen=True)
class RunProgress:
    """A run with its partitions and its latest events."""

    run: Run
    partitions: list[PartitionProgress]
    events: list[RunEvent]


_COLUMNS = [
    column for column in CollectionRun.__table__.c if column.name != "heartbeat_at"
]  # fmt: skip


def enqueue(connection: Connection, source: str, ordered_by: str | None) -> Run:
    """Queue a run of a source.

    Raises:
        CollectionStateError: when another one of the source is active.
    """
    quota.lock_source(connection, source)
    _require_no_active_run(connection, source)
    result = connection.execute(
        insert(CollectionRun).values(source=source, status=Status.QUEUED, ordered_by=ordered_by, ordered_at=utc_now())
    )
    run_id: int = result.inserted_primary_key[0]  # type: ignore[index]
    return find(connection, run_id)


def find(connection: Connection, run_id: int) -> Run:
    """Return a run.

    Raises:
        NotFoundError: when there is none with this id.
    """
    row = connection.execute(select(*_COLUMNS).where(CollectionRun.id == run_id)).one_or_none()
    if row is None:
        raise NotFoundError(message("There is no collection run %(run)s.", run=run_id))
    return _to_run(row)


def list_runs(connection: Connection, before: int | None, limit: int) -> Page[Run]:
    """Return runs, the newest first."""
    query = select(*_COLUMNS).order_by(CollectionRun.id.desc()).limit(limit + 1)
    if before is not None:
        query = query.where(CollectionRun.id < before)
    rows = [_to_run(row) for row in connection.execute(query)]
    return page_of(rows, limit, lambda run: run.id)


def read_progress(connection: Connection, run_id: int) -> RunProgress:
    """Return a run with its partitions and its latest events.

    Raises:
        NotFoundError: when there is none with this id.
    """
    run = find(connection, run_id)
    return RunProgress(run, list_partitions(connection, run_id), list_events(connection, run_id))


def list_partitions(connection: Connection, run_id: int) -> list[PartitionProgress]:
    """Return the progress of a run's partitions, of the first five hundred."""
    columns = (
        CollectionPartition.title,
        CollectionPartition.expected,
        CollectionPartition.returned,
        CollectionPartition.state,
    )
    query = select(*columns).where(CollectionPartition.run_id == run_id).order_by(CollectionPartition.place).limit(500)
    return [
        PartitionProgress(row.title, row.expected, row.returned, row.state is None) for row in connection.execute(query)
    ]


def list_events(connection: Connection, run_id: int) -> list[RunEvent]:
    """Return the events of a run, the latest first."""
    query = select(CollectionEvent.at, CollectionEvent.kind, CollectionEvent.text)
    query = query.where(CollectionEvent.run_id == run_id).order_by(CollectionEvent.id.desc()).limit(MAX_EVENTS)
    return [RunEvent(*row) for row in connection.execute(query)]


def cancel(connection: Connection, run_id: int) -> Run:
    """Cancel a run; what it has stored stays, and it can be resumed.

    Raises:
        NotFoundError: when there is no such run.
        CollectionStateError: when it has already ended.
    """
    changed = connection.execute(
        update(CollectionRun)
        .where(CollectionRun.id == run_id, CollectionRun.status.in_(ACTIVE_STATUSES))
        .values(status=Status.CANCELLED, ended_at=utc_now(), resumes_at=None)
    ).rowcount
    return _require_changed(connection, run_id, changed, Status.CANCELLED, "It has already ended.")


def resume(connection: Connection, run_id: int) -> Run:
    """Queue a cancelled, failed or paused run again; it continues after the last page that was stored.

    Raises:
        NotFoundError: when there is no such run.
        CollectionStateError: when it is queued, running or finished, or when another one of its source is active.
    """
    run = find(connection, run_id)
    quota.lock_source(connection, run.source)
    _require_no_active_run(connection, run.source, except_run_id=run_id)
    resumable = (Status.CANCELLED, Status.FAILED, Status.PAUSED)
    changed = connection.execute(
        update(CollectionRun)
        .where(CollectionRun.id == run_id, CollectionRun.status.in_(resumable))
        .values(status=Status.QUEUED, ended_at=None, resumes_at=None, error=None)
    ).rowcount
    return _require_changed(
        connection, run_id, changed, Status.QUEUED, "Only cancelled, failed or paused runs can be resumed."
    )


def claim_run(connection: Connection, worker: str, run_id: int | None = None) -> Run | None:
    """Claim a run that needs a worker: a queued one, a paused one whose time has come, or one whose worker is dead.

    Workers that claim at the same time get different runs, or none.
    """
    is_claimable = or_(
        CollectionRun.status == Status.QUEUED,
        and_(CollectionRun.status == Status.PAUSED, CollectionRun.resumes_at <= utc_now()),
        and_(CollectionRun.status == Status.RUNNING, CollectionRun.heartbeat_at < seconds_ago(HEARTBEAT_TIMEOUT)),
    )
    query = select(CollectionRun.id, CollectionRun.claim).where(is_claimable)
    if run_id is not None:
        query = query.where(CollectionRun.id == run_id)
    row = connection.execute(query.order_by(CollectionRun.id).limit(1).with_for_update(skip_locked=True)).first()
    if row is None:
        return None
    # The claim is compared as well: SQLite has no row locks.
    claimed = connection.execute(
        update(CollectionRun)
        .where(CollectionRun.id == row.id, CollectionRun.claim == row.claim)
        .values(
            status=Status.RUNNING,
            worker=worker,
            claim=row.claim + 1,
            heartbeat_at=utc_now(),
            began_at=func.coalesce(CollectionRun.began_at, utc_now()),
            resumes_at=None,
        )
    ).rowcount
    if not claimed:
        return None
    run = find(connection, row.id)
    if row.claim:
        record_event(connection, run.id, "claimed", f"Resumed by {worker}.")
        # Calls of a dead worker are no longer in flight.
        connection.execute(delete(CollectionCall).where(CollectionCall.source == run.source))
    return run


def fail_run(connection: Connection, run: Run, error: str) -> Run:
    """End a run that this process cannot begin."""
    connection.execute(
        update(CollectionRun)
        .where(CollectionRun.id == run.id, CollectionRun.claim == run.claim)
        .values(status=Status.FAILED, error=error, ended_at=utc_now(), worker=None)
    )
    record_event(connection, run.id, Status.FAILED, error)
    return find(connection, run.id)


def record_event(connection: Connection, run_id: int, kind: str, text: str) -> None:
    """Add an event to a run."""
    connection.execute(insert(CollectionEvent).values(run_id=run_id, at=utc_now(), kind=kind, text=text[:500]))


def _require_no_active_run(connection: Connection, source: str, *, except_run_id: int | None = None) -> None:
    query = select(CollectionRun.id).where(CollectionRun.source == source, CollectionRun.status.in_(ACTIVE_STATUSES))
    if except_run_id is not None:
        query = query.where(CollectionRun.id != except_run_id)
    active = connection.execute(query.limit(1)).scalar_one_or_none()
    if active is not None:
        raise CollectionStateError(
            message("Run %(run)s of %(source)s is under way; wait for it, or cancel it.", run=active, source=source)
        )


def _require_changed(connection: Connection, run_id: int, rowcount: int, status: Status, reason: str) -> Run:
    run = find(connection, run_id)
    if not rowcount:
        raise CollectionStateError(
            join_messages(message("Run %(run)s is %(status)s.", run=run_id, status=message(run.status)), reason)
        )
    record_event(connection, run_id, status, "Requested by a user.")
    return run


def _to_run(row: Row[*tuple[Any, ...]]) -> Run:
    return Run(**row._asdict())
