"""Collection runs: ordered, taken up by one worker at a time, watched, cancelled, resumed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, insert, or_, select, update

from webapp.collector.models import CollectionCall, CollectionEvent, CollectionPartition, CollectionRun
from webapp.db.page import Page, page_of
from webapp.db.timestamps import seconds_ago, utc_now
from webapp.errors import CollectionStateError, NotFoundError

HEARTBEAT_TIMEOUT = 30.0
"""Seconds without a heartbeat after which a run's worker is taken for dead."""
MAX_EVENTS = 200
"""Shown of one run, the latest."""


class Status(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


ACTIVE_STATUSES = (Status.QUEUED, Status.RUNNING, Status.PAUSED)


@dataclass(frozen=True)
class Run:
    """A collection run; counts are of records, `expected` where the source says how many it has."""

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
        """Whether it will go on by itself."""
        return self.status in ACTIVE_STATUSES


@dataclass(frozen=True)
class RunEvent:
    """Something that happened in a run."""

    at: datetime
    kind: str
    text: str


@dataclass(frozen=True)
class PartitionProgress:
    """How far a strand is."""

    title: str
    expected: int | None
    returned: int
    is_done: bool


_COLUMNS = [
    column for column in CollectionRun.__table__.c if column.name != "heartbeat_at"
]  # fmt: skip


def enqueue(connection: Connection, source: str, ordered_by: str | None) -> Run:
    """Queue a run of a source.

    Raises:
        CollectionStateError: when one is under way.
    """
    same = CollectionRun.source == source
    present = connection.execute(
        select(CollectionRun.id).where(same, CollectionRun.status.in_(ACTIVE_STATUSES)).limit(1)
    ).scalar_one_or_none()  # fmt: skip
    if present is not None:
        raise CollectionStateError(f"Run {present} of {source} is under way; wait for it, or cancel it.")
    made = connection.execute(
        insert(CollectionRun).values(source=source, status=Status.QUEUED, ordered_by=ordered_by, ordered_at=utc_now())
    )
    run_id: int = made.inserted_primary_key[0]  # type: ignore[index]
    return find(connection, run_id)


def find(connection: Connection, run_id: int) -> Run:
    """Return a run.

    Raises:
        NotFoundError: when there is none with this id.
    """
    row = connection.execute(select(*_COLUMNS).where(CollectionRun.id == run_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no collection run {run_id}.")
    return _to_run(row)


def list_runs(connection: Connection, before: int | None, limit: int) -> Page[Run]:
    """Return runs, the newest first."""
    query = select(*_COLUMNS).order_by(CollectionRun.id.desc()).limit(limit + 1)
    if before is not None:
        query = query.where(CollectionRun.id < before)
    rows = [_to_run(row) for row in connection.execute(query)]
    return page_of(rows, limit, lambda run: run.id)


def list_partitions(connection: Connection, run_id: int) -> list[PartitionProgress]:
    """Return how far the parts of a run are, the first five hundred."""
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
    """Return what happened in a run, the latest first."""
    query = select(CollectionEvent.at, CollectionEvent.kind, CollectionEvent.text)
    query = query.where(CollectionEvent.run_id == run_id).order_by(CollectionEvent.id.desc()).limit(MAX_EVENTS)
    return [RunEvent(*row) for row in connection.execute(query)]


def cancel(connection: Connection, run_id: int) -> Run:
    """Let a run end; what it has stored stays, and it can be resumed.

    Raises:
        NotFoundError: when there is no such run.
        CollectionStateError: when it has ended already.
    """
    changed = connection.execute(
        update(CollectionRun)
        .where(CollectionRun.id == run_id, CollectionRun.status.in_(ACTIVE_STATUSES))
        .values(status=Status.CANCELLED, ended_at=utc_now(), resumes_at=None)
    ).rowcount
    return _require_changed(connection, run_id, changed, Status.CANCELLED, "It has ended already.")


def resume(connection: Connection, run_id: int) -> Run:
    """Queue a run again that was cancelled, has failed or is paused; it goes on where it was.

    Raises:
        NotFoundError: when there is no such run.
        CollectionStateError: when it is under way, or finished.
    """
    run = find(connection, run_id)
    another = select(CollectionRun.id).where(
        CollectionRun.source == run.source, CollectionRun.status.in_(ACTIVE_STATUSES), CollectionRun.id != run_id
    )
    other = connection.execute(another.limit(1)).scalar_one_or_none()
    if other is not None:
        raise CollectionStateError(f"Run {other} of {run.source} is under way; wait for it, or cancel it.")
    resumable = (Status.CANCELLED, Status.FAILED, Status.PAUSED)
    changed = connection.execute(
        update(CollectionRun)
        .where(CollectionRun.id == run_id, CollectionRun.status.in_(resumable))
        .values(status=Status.QUEUED, ended_at=None, resumes_at=None, error=None)
    ).rowcount
    return _require_changed(
        connection, run_id, changed, Status.QUEUED, "Only what was cancelled, failed or paused goes on."
    )


def claim_run(connection: Connection, worker: str, run_id: int | None = None) -> Run | None:
    """Take up a run that waits for a worker: queued, paused long enough, or left by one that died.

    Of workers that ask at once each gets another one, or none.
    """
    waiting = or_(
        CollectionRun.status == Status.QUEUED,
        and_(CollectionRun.status == Status.PAUSED, CollectionRun.resumes_at <= utc_now()),
        and_(CollectionRun.status == Status.RUNNING, CollectionRun.heartbeat_at < seconds_ago(HEARTBEAT_TIMEOUT)),
    )
    query = select(CollectionRun.id, CollectionRun.claim).where(waiting)
    if run_id is not None:
        query = query.where(CollectionRun.id == run_id)
    row = connection.execute(query.order_by(CollectionRun.id).limit(1).with_for_update(skip_locked=True)).first()
    if row is None:
        return None
    # The claim is compared as well: SQLite has no row locks.
    taken = connection.execute(
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
    if not taken:
        return None
    run = find(connection, row.id)
    if row.claim:
        record_event(connection, run.id, "taken up", f"{worker} goes on with it.")
        # Calls of a worker that died in them are under way no more.
        connection.execute(delete(CollectionCall).where(CollectionCall.source == run.source))
    return run


def fail_run(connection: Connection, run: Run, error: str) -> Run:
    """End a run that cannot even begin here."""
    connection.execute(
        update(CollectionRun)
        .where(CollectionRun.id == run.id, CollectionRun.claim == run.claim)
        .values(status=Status.FAILED, error=error, ended_at=utc_now(), worker=None)
    )
    record_event(connection, run.id, Status.FAILED, error)
    return find(connection, run.id)


def record_event(connection: Connection, run_id: int, kind: str, text: str) -> None:
    """Write down what happened in a run."""
    connection.execute(insert(CollectionEvent).values(run_id=run_id, at=utc_now(), kind=kind, text=text[:500]))


def _require_changed(connection: Connection, run_id: int, rowcount: int, status: Status, reason: str) -> Run:
    run = find(connection, run_id)
    if not rowcount:
        raise CollectionStateError(f"Run {run_id} is {run.status}. {reason}")
    record_event(connection, run_id, status, "By a person.")
    return run


def _to_run(row: Row[*tuple[Any, ...]]) -> Run:
    return Run(**row._asdict())
