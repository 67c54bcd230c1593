"""Carry out collections of the stand-in for Open Trivia DB, in this process."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import bindparam, select, text

from webapp.bank import items
from webapp.bank.identity import dedupe_key
from webapp.bank.items import Filters, Item
from webapp.collector import fetching, runs
from webapp.collector.engine import Engine
from webapp.collector.runs import Run
from webapp.collector.sources.open_trivia import OpenTriviaSource
from webapp.collector.sources.protocol import Limits, Source
from webapp.lab.services.fake_opentdb import StandIn
from webapp.pooling.clock import UtcDateTime, utc_now
from webapp.pooling.work import Work

SET_HEARTBEAT = text("UPDATE collection_run SET heartbeat_at = :then WHERE id = :run").bindparams(
    bindparam("then", type_=UtcDateTime)
)
MOST_ITEMS = 10_000


def source_of(stand_in: StandIn, *, spacing: float = 0.0, concurrency: int = 4, daily: int | None = None) -> Source:
    """Return the source that asks the stand-in."""
    source = OpenTriviaSource(stand_in.address, spacing=spacing)
    source.limits = Limits(concurrency, spacing, daily)
    return source


def ordered(work: Work, source: Source) -> Run:
    """Order a run."""
    return work.transact(lambda connection: runs.order(connection, source.name, "ada"))


def taken(work: Work, run: Run | None = None, worker: str = "w") -> Run | None:
    """Take up a run that waits, as a worker does."""
    return work.transact(lambda connection: runs.take(connection, worker, run.id if run else None))


def carried_out(work: Work, source: Source, run: Run | None = None) -> Run:
    """Order a run, or take one up that waits, and carry it out.

    Raises:
        LookupError: when the run does not wait.
    """
    mine = taken(work, run or ordered(work, source))
    if mine is None:
        raise LookupError("There is no run to take up.")
    with fetching.client("tests@poolproof.example") as http:
        return Engine(work, http, source, mine).execute()


def let_its_worker_be_dead(work: Work, run: Run) -> None:
    """Set the run's heartbeat back, as if a minute had passed."""
    with work.transaction() as connection:
        now: datetime = connection.execute(select(utc_now())).scalar_one()
        connection.execute(SET_HEARTBEAT, {"then": now - timedelta(minutes=1), "run": run.id})


def bank(work: Work) -> list[Item]:
    """Return all items."""
    with work.read() as connection:
        return list(items.search(connection, Filters(), None, MOST_ITEMS).rows)


def keys(work: Work) -> list[bytes]:
    """Return the dedupe keys of all items, in order."""
    return sorted(dedupe_key(item.stem, item.choices, item.right) for item in bank(work))
