"""Runs executed against a real server."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import update

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.waiting import wait_until
from tests.unit.collector import source_driver
from webapp.bank.models import Item as ItemRow
from webapp.collector import http_fetcher, rate_policy, run_executor, runs
from webapp.collector.models import CollectionQuota, CollectionRun
from webapp.collector.run_executor import RunExecutor
from webapp.collector.runs import Status
from webapp.collector.sources.base import SourceLimits
from webapp.lab.loadgen.collection_runs import (
    claim_run,
    execute_run,
    fetch_all_items,
    fetch_dedupe_keys,
    make_source,
    order_run,
)
from webapp.lab.services import fake_opentdb as opentdb
from webapp.lab.services.fake_opentdb import ContractOptions, FakeOpenTdb, Fault, make_questions

BANK = make_questions(120, 3)


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_fetcher, "INITIAL_BACKOFF", 0.01)


def test_everything_is_collected_once_with_where_it_comes_from(work: UnitOfWork) -> None:
    with FakeOpenTdb(BANK) as server:
        run = execute_run(work, make_source(server))
        assert fetch_dedupe_keys(work) == sorted(opentdb.dedupe_keys(BANK))
        assert run.calls == len(server.calls)
    assert (run.status, run.expected, run.returned, run.rejected) == (Status.FINISHED, 120, 120, 0)
    assert run.new == len(opentdb.dedupe_keys(BANK))
    assert run.new + run.duplicate == 120
    item = fetch_all_items(work)[0]
    assert (item.source, item.licence) == ("Open Trivia DB", "CC BY-SA 4.0")
    assert item.address is not None
    assert item.collected_at is not None


def test_collected_again_nothing_is_new_and_nothing_has_changed(work: UnitOfWork) -> None:
    with FakeOpenTdb(BANK) as server:
        execute_run(work, make_source(server))
        run = execute_run(work, make_source(server))
    assert (run.status, run.new, run.changed, run.returned) == (Status.FINISHED, 0, 0, 120)
    assert {item.version for item in fetch_all_items(work)} == {1}


def test_what_the_source_has_changed_becomes_a_new_version(work: UnitOfWork) -> None:
    other = {"easy": "hard", "medium": "easy", "hard": "medium"}
    question = BANK[0]
    with FakeOpenTdb(BANK) as server:
        execute_run(work, make_source(server))
    with FakeOpenTdb([replace(question, difficulty=other[question.difficulty]), *BANK[1:]]) as server:
        run = execute_run(work, make_source(server))
    assert (run.new, run.changed) == (0, 1)
    assert [item.difficulty for item in fetch_all_items(work) if item.version == 2] == [other[question.difficulty]]


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.SILENCE])
def test_a_fault_in_the_midst_costs_no_record(work: UnitOfWork, fault: Fault) -> None:
    with FakeOpenTdb(BANK, faults={5: fault, 9: fault, 10: fault}) as server:
        run = execute_run(work, make_source(server, concurrency=2))
    assert run.status == Status.FINISHED, run.error
    assert fetch_dedupe_keys(work) == sorted(opentdb.dedupe_keys(BANK))


def test_a_source_that_only_fails_ends_the_run_with_its_reason(work: UnitOfWork) -> None:
    with FakeOpenTdb(BANK, faults=lambda number, path: Fault.HTML) as server:
        run = execute_run(work, make_source(server))
    assert run.status == Status.FAILED
    assert run.error is not None
    assert "JSON" in run.error


def test_what_was_collected_before_a_failure_stays_and_the_run_goes_on_behind_it(work: UnitOfWork) -> None:
    broken = threading.Event()
    broken.set()

    def faults(number: int, path: str) -> Fault | None:
        return Fault.ERROR if number > 8 and path == "/api.php" and broken.is_set() else None

    with FakeOpenTdb(BANK, faults=faults) as server:
        source = make_source(server, concurrency=1)
        run = execute_run(work, source)
        assert run.status == Status.FAILED
        broken.clear()
        work.run_in_transaction(lambda connection: runs.resume(connection, run.id))
        run = execute_run(work, source, run)
    assert run.status == Status.FINISHED
    assert fetch_dedupe_keys(work) == sorted(opentdb.dedupe_keys(BANK))


def test_a_spent_quota_pauses_the_run_which_goes_on_when_there_are_calls_again(work: UnitOfWork) -> None:
    with FakeOpenTdb(BANK) as server:
        run = execute_run(work, make_source(server, daily_quota=9))
        assert len(server.calls) == 9
        assert run.status == Status.PAUSED
        assert run.resumes_at is not None
        assert claim_run(work) is None, "not before"
        with work.transaction() as connection:
            connection.execute(update(CollectionQuota).values(calls=0))
        work.run_in_transaction(lambda connection: runs.resume(connection, run.id))
        run = execute_run(work, make_source(server, daily_quota=90), run)
    assert run.status == Status.FINISHED
    assert fetch_dedupe_keys(work) == sorted(opentdb.dedupe_keys(BANK))


def test_a_run_that_is_cancelled_ends_soon_and_keeps_what_it_has(
    work: UnitOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_executor, "HEARTBEAT_INTERVAL", 0.05)
    monkeypatch.setattr(run_executor, "STOP_TIMEOUT", 0.05)
    may_answer = threading.Event()

    class Held(FakeOpenTdb):
        """Answers the second page and the following ones only when the event is set."""

        def handle_call(self, path: str, query: dict[str, str], client_port: int) -> tuple[Fault | None, int, bytes]:
            if any(call.path == "/api.php" for call in self.calls):
                may_answer.wait(source_driver.TIMEOUT)
            return super().handle_call(path, query, client_port)

    with Held(BANK) as server, http_fetcher.create_client(None) as http:
        source = make_source(server, concurrency=1)
        run = claim_run(work, order_run(work, source))
        assert run is not None
        thread = threading.Thread(target=RunExecutor(work, http, source, run).execute)
        thread.start()
        wait_until(lambda: len(fetch_all_items(work)) > 0)
        work.run_in_transaction(lambda connection: runs.cancel(connection, run.id))
        # It does not wait for a response in flight.
        thread.join(source_driver.TIMEOUT)
        assert not thread.is_alive()
        may_answer.set()
        for fetching_thread in (thread for thread in threading.enumerate() if thread.name.startswith("fetch-")):
            fetching_thread.join(source_driver.TIMEOUT)
    with work.read() as connection:
        assert runs.find(connection, run.id).status == Status.CANCELLED
        assert len(fetch_all_items(work)) > 0


def test_a_worker_whose_run_was_taken_over_stores_nothing_more(work: UnitOfWork) -> None:
    with FakeOpenTdb(BANK) as server, http_fetcher.create_client(None) as http:
        source = make_source(server)
        outdated = claim_run(work, order_run(work, source))
        assert outdated is not None
        with work.transaction() as connection:
            connection.execute(update(CollectionRun).values(claim=outdated.claim + 1))
        RunExecutor(work, http, source, outdated).execute()
    assert fetch_all_items(work) == []


def test_calls_are_spaced_as_the_source_wants(work: UnitOfWork) -> None:
    spacing = rate_policy.RESPONSE_SPACING_THRESHOLD
    with FakeOpenTdb(make_questions(15, 1), ContractOptions(spacing=spacing, limited_status=200)) as server:
        run = execute_run(work, make_source(server, spacing=spacing))
        arrivals = [call.arrived_at for call in server.calls]
    assert run.status == Status.FINISHED
    assert min(later - earlier for earlier, later in pairwise(arrivals)) >= spacing


def test_what_a_person_changes_meanwhile_is_kept(work: UnitOfWork) -> None:
    with FakeOpenTdb(BANK) as server:
        execute_run(work, make_source(server))
        with work.transaction() as connection:
            connection.execute(update(ItemRow).values(fingerprints=None, explanation="Mended."))
        run = execute_run(work, make_source(server))
    assert (run.new, run.changed) == (0, 0)
    assert {item.explanation for item in fetch_all_items(work)} == {"Mended."}


def test_no_more_calls_than_allowed_are_under_way(work: UnitOfWork) -> None:
    in_flight, max_in_flight, lock = [0], [0], threading.Lock()

    class Slow(FakeOpenTdb):
        def handle_call(self, *arguments: Any) -> Any:
            with lock:
                in_flight[0] += 1
                max_in_flight[0] = max(max_in_flight[0], in_flight[0])
            time.sleep(0.03)
            try:
                return super().handle_call(*arguments)
            finally:
                with lock:
                    in_flight[0] -= 1

    with Slow(make_questions(80, 8)) as server:
        source = make_source(server)
        source.limits = SourceLimits(concurrency=3)
        assert execute_run(work, source).status == Status.FINISHED
    assert max_in_flight[0] == 3
