"""Collection runs: queued, claimed, cancelled, resumed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Barrier

import pytest
from sqlalchemy import select, update

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.collector import run_store, runs
from webapp.collector.models import CollectionRun
from webapp.collector.run_store import LostRunError
from webapp.collector.runs import Run, Status
from webapp.db.timestamps import utc_now
from webapp.errors import CollectionStateError, NotFoundError
from webapp.lab.loadgen.collection_runs import expire_heartbeat


def enqueue(work: UnitOfWork, source: str = "birds") -> Run:
    return work.run_in_transaction(lambda connection: runs.enqueue(connection, source, "ada"))


def claim(work: UnitOfWork, worker: str = "w") -> Run | None:
    return work.run_in_transaction(lambda connection: runs.claim_run(connection, worker))


def find(work: UnitOfWork, run: Run) -> Run:
    with work.read() as connection:
        return runs.find(connection, run.id)


def kinds(work: UnitOfWork, run: Run) -> list[str]:
    with work.read() as connection:
        return [event.kind for event in runs.list_events(connection, run.id)]


def test_an_ordered_run_waits_for_a_worker(work: UnitOfWork) -> None:
    run = enqueue(work)
    assert (run.status, run.ordered_by, run.returned, run.claim) == (Status.QUEUED, "ada", 0, 0)


def test_a_source_has_one_run_under_way(work: UnitOfWork) -> None:
    first = enqueue(work)
    with pytest.raises(CollectionStateError, match=f"Run {first.id} of birds is under way"):
        enqueue(work)
    assert enqueue(work, "fish").status == Status.QUEUED


def outcomes_at_once(count: int, order: Callable[[], Run]) -> list[str]:
    """Let so many threads do the same at once; return what became of each."""
    barrier = Barrier(count)

    def take_part(_: int) -> str:
        barrier.wait()
        try:
            return f"run {order().id}"
        except CollectionStateError:
            return "refused"

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(take_part, range(count)))


def test_of_twelve_orders_at_once_one_starts_a_run(work: UnitOfWork) -> None:
    for source in ("birds", "fish", "birds of prey"):
        outcomes = outcomes_at_once(12, partial(enqueue, work, source))
        assert outcomes.count("refused") == 11, outcomes


def test_of_two_cancelled_runs_that_are_resumed_at_once_one_goes_on(work: UnitOfWork) -> None:
    for source in ("birds", "fish", "birds of prey"):
        ids = []
        for _ in range(6):
            ids.append(enqueue(work, source).id)
            work.run_in_transaction(lambda connection: runs.cancel(connection, ids[-1]))  # noqa: B023 - called at once
        remaining = list(ids)
        outcomes = outcomes_at_once(
            6,
            lambda: work.run_in_transaction(partial(runs.resume, run_id=remaining.pop())),  # noqa: B023 - likewise
        )
        assert outcomes.count("refused") == 5, outcomes


def test_of_workers_that_look_at_once_each_gets_another_run(work: UnitOfWork) -> None:
    queued = {enqueue(work, f"source {number}").id for number in range(4)}
    with ThreadPoolExecutor(4) as threads:
        claimed = [run for run in threads.map(lambda number: claim(work, f"w{number}"), range(4)) if run]
    assert len({run.id for run in claimed}) == len(claimed), "none is carried out twice"
    while (run := claim(work)) is not None:
        claimed.append(run)
    assert {run.id for run in claimed} == queued


def test_the_oldest_run_comes_first(work: UnitOfWork) -> None:
    first, second = enqueue(work, "birds"), enqueue(work, "fish")
    assert [run.id for run in (claim(work), claim(work)) if run] == [first.id, second.id]
    assert claim(work) is None


def test_a_run_whose_worker_lives_is_not_taken_over(work: UnitOfWork) -> None:
    run = enqueue(work)
    claim(work)
    assert claim(work) is None
    expire_heartbeat(work, run)
    assert claim(work, "another") is not None
    assert find(work, run).claim == 2
    assert "claimed" in kinds(work, run)


def test_who_was_taken_over_may_not_write_any_more(work: UnitOfWork) -> None:
    run = enqueue(work)
    first = claim(work, "first")
    assert first is not None
    expire_heartbeat(work, run)
    second = claim(work, "second")
    assert second is not None
    with pytest.raises(LostRunError):
        work.run_in_transaction(lambda connection: run_store.heartbeat(connection, first))
    work.run_in_transaction(lambda connection: run_store.heartbeat(connection, second))


def test_a_paused_run_is_taken_up_when_its_time_has_come(work: UnitOfWork) -> None:
    run = enqueue(work)
    claimed = claim(work)
    assert claimed is not None
    with work.read() as connection:
        now = connection.scalar(select(utc_now()))
    assert now is not None
    tomorrow = now + timedelta(days=1)
    work.run_in_transaction(
        lambda connection: run_store.end_run(connection, claimed, Status.PAUSED, resumes_at=tomorrow)
    )
    assert (find(work, run).status, find(work, run).resumes_at) == (Status.PAUSED, tomorrow)
    assert claim(work) is None
    with work.transaction() as connection:
        connection.execute(update(CollectionRun).values(resumes_at=now - timedelta(seconds=1)))
    assert claim(work) is not None


def test_what_was_cancelled_is_over_until_it_is_resumed(work: UnitOfWork) -> None:
    run = enqueue(work)
    claimed = claim(work)
    assert claimed is not None
    assert work.run_in_transaction(lambda connection: runs.cancel(connection, run.id)).status == Status.CANCELLED
    assert claim(work) is None
    with pytest.raises(LostRunError):
        work.run_in_transaction(lambda connection: run_store.heartbeat(connection, claimed))
    with pytest.raises(CollectionStateError, match="already ended"):
        work.run_in_transaction(lambda connection: runs.cancel(connection, run.id))
    assert work.run_in_transaction(lambda connection: runs.resume(connection, run.id)).status == Status.QUEUED
    assert claim(work) is not None


def test_a_run_is_not_resumed_beside_another_of_its_source(work: UnitOfWork) -> None:
    old = enqueue(work)
    work.run_in_transaction(lambda connection: runs.cancel(connection, old.id))
    new = enqueue(work)
    with pytest.raises(CollectionStateError, match=f"Run {new.id}"):
        work.run_in_transaction(lambda connection: runs.resume(connection, old.id))


def test_a_run_that_nobody_knows_is_said_to_be_none(work: UnitOfWork) -> None:
    with pytest.raises(NotFoundError):
        work.run_in_transaction(lambda connection: runs.cancel(connection, 4711))


def test_runs_are_listed_in_pages_the_newest_first(work: UnitOfWork) -> None:
    ids = [enqueue(work, f"source {number}").id for number in range(5)]
    with work.read() as connection:
        page = runs.list_runs(connection, None, 3)
        rest = runs.list_runs(connection, page.next_after, 3)
    assert [run.id for run in (*page.rows, *rest.rows)] == ids[::-1]
    assert rest.next_after is None
