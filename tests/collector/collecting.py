"""Carry out collections in a test."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select, update

from tests.opentdb import StandIn
from webapp.bank import items
from webapp.bank.identity import dedupe_key
from webapp.bank.items import Filters, Item
from webapp.collector import fetching, runs
from webapp.collector.engine import Engine
from webapp.collector.models import CollectionRun
from webapp.collector.runs import Run
from webapp.collector.sources.open_trivia import OpenTriviaSource
from webapp.collector.sources.protocol import Limits, Source
from webapp.pooling.clock import utc_now
from webapp.pooling.work import Work


def source_of(stand_in: StandIn, *, spacing: float = 0.0, concurrency: int = 4, daily: int | None = None) -> Source:
    source = OpenTriviaSource(stand_in.address, spacing=spacing)
    source.limits = Limits(concurrency, spacing, daily)
    return source


def ordered(work: Work, source: Source) -> Run:
    return work.transact(lambda connection: runs.order(connection, source.name, "ada"))


def taken(work: Work, run: Run | None = None, worker: str = "w") -> Run | None:
    return work.transact(lambda connection: runs.take(connection, worker, run.id if run else None))


def carried_out(work: Work, source: Source, run: Run | None = None) -> Run:
    """Order a run, or take one up that waits, and carry it out."""
    mine = taken(work, run or ordered(work, source))
    assert mine is not None
    with fetching.client("tests@poolproof.example") as http:
        return Engine(work, http, source, mine).execute()


def let_its_worker_be_dead(work: Work, run: Run) -> None:
    """Set the run's heartbeat back, as if a minute had passed."""
    with work.transaction() as connection:
        now = connection.scalar(select(utc_now()))
        assert now is not None
        long_ago = now - timedelta(minutes=1)
        connection.execute(update(CollectionRun).where(CollectionRun.id == run.id).values(heartbeat_at=long_ago))


def bank(work: Work) -> list[Item]:
    with work.read() as connection:
        return list(items.search(connection, Filters(), None, 10_000).rows)


def keys(work: Work) -> list[bytes]:
    return sorted(dedupe_key(item.stem, item.choices, item.right) for item in bank(work))
