"""What a run writes while it is carried out; only who has taken it up last may."""

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
    """The run is not ours any more: cancelled, or another worker has taken it up."""


@dataclass(frozen=True)
class PendingPartition:
    """A strand of a run that is not done: which it is, how many pages are stored, and where it goes on."""

    number: int
    pages: int
    partition: Partition


@dataclass(frozen=True)
class FetchResult:
    """A page that a strand has given."""

    pending: PendingPartition
    page: RecordPage


def heartbeat(connection: Connection, run: Run) -> None:
    """Say that the run's worker lives.

    Raises:
        LostRunError: when the run is not ours any more.
    """
    mine = (CollectionRun.id == run.id, CollectionRun.claim == run.claim, CollectionRun.status == Status.RUNNING)
    if not connection.execute(update(CollectionRun).where(*mine).values(heartbeat_at=utc_now())).rowcount:
        raise LostRunError(f"run {run.id} is not ours any more")


def pending_partitions(connection: Connection, run: Run) -> list[PendingPartition] | None:
    """Return the strands that are not done; None before they were listed."""
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
    """Store the list of a run's work.

    Raises:
        LostRunError: when the run is not ours any more.
    """
    heartbeat(connection, run)
    rows = [
        {
            "run_id": run.id,
            "place": place,
            "key": one.key[:200],
            "title": (one.title or one.key)[:200],
            "state": one.state,
            "expected": one.expected,
            "returned": 0,
            "pages": 0,
        }
        for place, one in enumerate(partitions)
    ]
    if rows:
        connection.execute(insert(CollectionPartition.__table__), rows)  # type: ignore[arg-type]
    known = [one.expected for one in partitions]
    expected = sum(one for one in known if one is not None) if None not in known else None
    connection.execute(update(CollectionRun).where(CollectionRun.id == run.id).values(expected=expected))
    return [PendingPartition(place, 0, one) for place, one in enumerate(partitions)]


def store_page(
    connection: Connection, run: Run, source: Source, result: FetchResult, *, calls: int, now: datetime
) -> dict[str, int]:
    """Store a page: its items, where its strand goes on and the counts; return these.

    Harmless when repeated: a page that is stored is not stored again, nor counted.

    Raises:
        LostRunError: when the run is not ours any more.
    """
    heartbeat(connection, run)
    page, place = result.page, result.pending
    table = CollectionPartition.__table__
    here = (table.c.run_id == run.id, table.c.place == place.number, table.c.pages == place.pages)
    returned = len(page.records)
    values = {"pages": place.pages + 1, "state": page.state, "returned": table.c.returned + returned}
    if page.restarts:
        values["returned"] = returned
    if not connection.execute(update(CollectionPartition).where(*here).values(**values)).rowcount:
        return {}
    counts = _merge(connection, run, source, page.records, now)
    added = counts | {"returned": returned, "calls": calls}
    columns = {name: CollectionRun.__table__.c[name] + count for name, count in added.items() if count}
    if columns:
        connection.execute(update(CollectionRun).where(CollectionRun.id == run.id).values(**columns))
    _record_rejected(connection, run, place, page.records)
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
    """End a run, or pause it `until` then; count calls that gave no page.

    Raises:
        LostRunError: when the run is not ours any more.
    """
    heartbeat(connection, run)
    ended = utc_now() if status in {Status.FINISHED, Status.FAILED, Status.CANCELLED} else None
    values = {"status": status, "error": error, "resumes_at": resumes_at, "ended_at": ended, "worker": None}
    statement = update(CollectionRun).where(CollectionRun.id == run.id)
    connection.execute(statement.values(calls=CollectionRun.calls + calls, **values))
    texts = {
        Status.FINISHED: "Everything is collected.",
        Status.PAUSED: f"Today's calls are used up; it goes on at {resumes_at:%Y-%m-%d %H:%M} UTC."
        if resumes_at
        else "",
        Status.CANCELLED: "Interrupted.",
        Status.QUEUED: "Given back by its worker.",
    }
    runs.record_event(connection, run.id, status, error or texts.get(status, ""))


def advance(state: PartitionState | None, pending: PendingPartition) -> PendingPartition | None:
    """Return where a strand goes on after its page is stored; None when it is done."""
    if state is None:
        return None
    return PendingPartition(pending.number, pending.pages + 1, replace(pending.partition, state=state))


def _merge(
    connection: Connection, run: Run, source: Source, records: Sequence[CollectedRecord], now: datetime
) -> dict[str, int]:
    given = [
        SourceRecord(_with_source_defaults(source, one.record.draft, one.original, now), one.identity)
        for one in records
        if isinstance(one.record, Accepted)
    ]
    outcomes: Counter[RecordOutcome] = Counter()
    for start in range(0, len(given), bulk_insert.BATCH_SIZE):
        some = given[start : start + bulk_insert.BATCH_SIZE]
        outcomes.update(source_sync.merge(connection, source.name, some, run.began_at or now))
    counts = {str(outcome): outcomes.get(outcome, 0) for outcome in RecordOutcome}
    return counts | {"rejected": len(records) - len(given)}


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
    rejected = [one for one in records if isinstance(one.record, Rejected)][:MAX_REJECTED_EVENTS]
    rows = [
        {"run_id": run.id, "kind": "rejected", "text": _describe_rejected(pending.partition, one)[:500]}
        for one in rejected
    ]  # fmt: skip
    if rows:
        now = database_now(connection)
        connection.execute(insert(CollectionEvent.__table__), [row | {"at": now} for row in rows])  # type: ignore[arg-type]


def _describe_rejected(partition: Partition, collected: CollectedRecord) -> str:
    reason = collected.record.reason if isinstance(collected.record, Rejected) else ""
    return f"{partition.title or partition.key}: {reason} {collected.original[:300]}"
