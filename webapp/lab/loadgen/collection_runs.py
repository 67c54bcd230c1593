"""Executes collection runs against the stand-in for Open Trivia DB, in this process."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import bindparam, select, text

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.bank import items
from webapp.bank.deduplication import dedupe_key
from webapp.bank.items import Filters, Item
from webapp.collector import http_fetcher, runs
from webapp.collector.run_executor import RunExecutor
from webapp.collector.runs import Run
from webapp.collector.sources.base import Source, SourceLimits
from webapp.collector.sources.open_trivia import OpenTriviaSource
from webapp.db.timestamps import utc_now
from webapp.db.types import UtcDateTime
from webapp.lab.services.fake_opentdb import FakeOpenTdb

SET_HEARTBEAT = text("UPDATE collection_run SET heartbeat_at = :moment WHERE id = :run").bindparams(
    bindparam("moment", type_=UtcDateTime)
)
MAX_ITEMS = 10_000


def make_source(
    server: FakeOpenTdb, *, spacing: float = 0.0, concurrency: int = 4, daily_quota: int | None = None
) -> Source:
    """Return the source that reads the stand-in."""
    source = OpenTriviaSource(server.address, spacing=spacing)
    source.limits = SourceLimits(concurrency, spacing, daily_quota)
    return source


def order_run(work: UnitOfWork, source: Source) -> Run:
    """Enqueue a run."""
    return work.run_in_transaction(lambda connection: runs.enqueue(connection, source.name, "ada"))


def claim_run(work: UnitOfWork, run: Run | None = None, worker: str = "w") -> Run | None:
    """Claim this run, or the next queued one, as a worker does."""
    return work.run_in_transaction(lambda connection: runs.claim_run(connection, worker, run.id if run else None))


def execute_run(work: UnitOfWork, source: Source, run: Run | None = None) -> Run:
    """Claim a run, by default a new one, and execute it.

    Raises:
        LookupError: when the run is not queued.
    """
    claimed = claim_run(work, run or order_run(work, source))
    if claimed is None:
        raise LookupError("There is no run to claim.")
    with http_fetcher.create_client("tests@poolproof.example") as http:
        return RunExecutor(work, http, source, claimed).execute()


def expire_heartbeat(work: UnitOfWork, run: Run) -> None:
    """Set the run's heartbeat back, as if a minute had passed."""
    with work.transaction() as connection:
        now: datetime = connection.execute(select(utc_now())).scalar_one()
        connection.execute(SET_HEARTBEAT, {"moment": now - timedelta(minutes=1), "run": run.id})


def fetch_all_items(work: UnitOfWork) -> list[Item]:
    """Return all items."""
    with work.read() as connection:
        return list(items.search(connection, Filters(), None, MAX_ITEMS).rows)


def fetch_dedupe_keys(work: UnitOfWork) -> list[bytes]:
    """Return the dedupe keys of all items, in order."""
    return sorted(dedupe_key(item.stem, item.choices, item.right) for item in fetch_all_items(work))
