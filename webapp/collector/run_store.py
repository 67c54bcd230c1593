"""What a run's worker writes; only the worker with the latest claim may write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from poolproof.metrics import counters
from webapp.bank import bulk_insert, source_sync
from webapp.bank.formats.parse_result import Accepted, Rejected
from webapp.bank.item_draft import ItemDraft
from webapp.bank.source_sync import RecordOutcome, SourceRecord
from webapp.collector import runs
from webapp.collector.models import CollectionEvent, CollectionPartition, CollectionRun
from webapp.collector.runs import Run, Status
from webapp.collector.sources.base import CollectedRecord, Partition, PartitionState, RecordPage, Source
from webapp.db.timestamps import database_now, utc_now

RECORDS = counters.declare(
    "poolproof_collected_records",
    "Records that collections have stored, by what became of them.",
    ("source", "outcome"),
)
MAX_REJECTED_EVENTS = 20
"""Rejected records of one page that become events; they are all counted."""


class LostRunError(Exception):
    """The run no longer belongs to this worker: it was cancelled, or another worker has claimed it."""


@dataclass(frozen=True)
class PendingPartition:
    """A partition of a run that is not done: its number, how many of its pages are stored, and where to continue."""

    number: int
    pages: int
    partition: Partition


@dataclass(frozen=True)
class FetchResult:
    """A page that was fetched from a partition."""

    pending: PendingPartition
    page: RecordPage


def heartbeat(connection: Connection, run: Run) -> None:
    """Record that the run's worker is alive.

    Raises:
        LostRunError: when the run no longer belongs to this worker.
    """
    is_ours = (CollectionRun.id == run.id, CollectionRun.claim == run.claim, CollectionRun.status == Status.RUNNING)
    if not connection.execute(update(CollectionRun).where(*is_ours).values(heartbeat_at=utc_now())).rowcount:
        raise LostRunError(f"run {run.id} no longer belongs to this worker")


def pending_partitions(connection: Connection, run: Run) -> list[PendingPartition] | None:
    """Return the partitions that are not done; None before the partitions were listed."""
    table = CollectionPartition.__table__
    rows = connection.execute(select(table).where(table.c.run_id == run.id).order_by(table.c.place)).all()
    if not rows:
        return None
    return [
        PendingPartition(row.place, row.pages, Partition(row.key, row.state, row.expected, row.title))
        for row in rows
        if row.state is not None
    ]


def create_partitions(connection: Connection, run: Run, partitions: Sequence[Partition]) -> list[PendingPartition]:
    """Store the list of a run's partitions.

    Raises:
        LostRunError: when the run no longer belongs to this worker.
    """
    heartbeat(connection, run)
    rows = [
        {
            "run_id": run.id,
            "place": number,
            "key": partition.key[:200],
            "title": (partition.title or partition.key)[:200],
            "state": partition.state,
            "expected": partition.expected,
            "returned": 0,
            "pages": 0,
        }
        for number, partition in enumerate(partitions)
    ]
    if rows:
        connection.execute(insert(CollectionPartition.__table__), rows)  # type: ignore[arg-type]
    counts = [partition.expected for partition in partitions]
    expected = sum(count for count in counts if count is not None) if None not in counts else None
    connection.execute(update(CollectionRun).where(CollectionRun.id == run.id).values(expected=expected))
    return [PendingPartition(number, 0, partition) for number, partition in enumerate(partitions)]


def store_page(
    connection: Connection, run: Run, source: Source, result: FetchResult, *, calls: int, now: datetime
) -> dict[str, int]:
    """Store a page's items, where to continue its partition, and the counts; return the counts.

    Idempotent: a page that is stored is not stored or counted again.

    Raises:
        LostRunError: when the run no longer belongs to this worker.
    """
    heartbeat(connection, run)
    page, pending = result.page, result.pending
    table = CollectionPartition.__table__
    is_at_page = (table.c.run_id == run.id, table.c.place == pending.number, table.c.pages == pending.pages)
    returned = len(page.records)
    values = {"pages": pending.pages + 1, "state": page.state, "returned": table.c.returned + returned}
    if page.restarts:
        values["returned"] = returned
    if not connection.execute(update(CollectionPartition).where(*is_at_page).values(**values)).rowcount:
        return {}
    counts = _merge(connection, run, source, page.records, now)
    increments = counts | {"returned": returned, "calls": calls}
    columns = {name: CollectionRun.__table__.c[name] + count for name, count in increments.items() if count}
    if columns:
        connection.execute(update(CollectionRun).where(CollectionRun.id == run.id).values(**columns))
    _record_rejected(connection, run, pending, page.records)
    return counts


def end_run(
    connection: Connection,
    run: Run,
    status: Status,
    calls: int = 0,
    *,
    error: str | None = None,
    resumes_at: datetime | None = None,
) -> None:
    """Give a run its last status, or pause it until `resumes_at`; add the calls that gave no page.

    Raises:
        LostRunError: when the run no longer belongs to this worker.
    """
    heartbeat(connection, run)
    ended_at = utc_now() if status in {Status.FINISHED, Status.FAILED, Status.CANCELLED} else None
    values = {"status": status, "error": error, "resumes_at": resumes_at, "ended_at": ended_at, "worker": None}
    statement = update(CollectionRun).where(CollectionRun.id == run.id)
    connection.execute(statement.values(calls=CollectionRun.calls + calls, **values))
    texts = {
        Status.FINISHED: "All records are collected.",
        Status.PAUSED: f"Today's calls are used up; it resumes at {resumes_at:%Y-%m-%d %H:%M} UTC."
        if resumes_at
        else "",
        Status.CANCELLED: "Interrupted.",
        Status.QUEUED: "Released by its worker.",
    }
    runs.record_event(connection, run.id, status, error or texts.get(status, ""))


def advance(state: PartitionState | None, pending: PendingPartition) -> PendingPartition | None:
    """Return where to continue a partition after its page is stored; None when it is done."""
    if state is None:
        return None
    return PendingPartition(pending.number, pending.pages + 1, replace(pending.partition, state=state))


def _merge(
    connection: Connection, run: Run, source: Source, records: Sequence[CollectedRecord], now: datetime
) -> dict[str, int]:
    accepted = [
        SourceRecord(_with_source_defaults(source, collected.record.draft, collected.original, now), collected.identity)
        for collected in records
        if isinstance(collected.record, Accepted)
    ]
    outcomes: Counter[RecordOutcome] = Counter()
    for start in range(0, len(accepted), bulk_insert.BATCH_SIZE):
        batch = accepted[start : start + bulk_insert.BATCH_SIZE]
        outcomes.update(source_sync.merge(connection, source.name, batch, run.began_at or now))
    counts = {str(outcome): outcomes.get(outcome, 0) for outcome in RecordOutcome}
    return counts | {"rejected": len(records) - len(accepted)}


def _with_source_defaults(source: Source, draft: ItemDraft, original: str, now: datetime) -> ItemDraft:
    return replace(
        draft,
        source=draft.source or source.title,
        address=draft.address or source.address,
        licence=draft.licence or source.licence,
        collected_at=now,
        original=original or None,
    )


def _record_rejected(
    connection: Connection, run: Run, pending: PendingPartition, records: Sequence[CollectedRecord]
) -> None:
    rejected = [collected for collected in records if isinstance(collected.record, Rejected)]
    rows = [
        {"run_id": run.id, "kind": "rejected", "text": _describe_rejected(pending.partition, collected)[:500]}
        for collected in rejected[:MAX_REJECTED_EVENTS]
    ]
    if rows:
        now = database_now(connection)
        connection.execute(insert(CollectionEvent.__table__), [row | {"at": now} for row in rows])  # type: ignore[arg-type]


def _describe_rejected(partition: Partition, collected: CollectedRecord) -> str:
    reason = collected.record.reason if isinstance(collected.record, Rejected) else ""
    return f"{partition.title or partition.key}: {reason} {collected.original[:300]}"
