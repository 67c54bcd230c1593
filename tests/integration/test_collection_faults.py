"""Collections whose processes are killed, and many processes at once."""

from __future__ import annotations

import os
import signal
import time
from itertools import pairwise

import pytest

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.collector import http_fetcher
from webapp.collector.runs import Status
from webapp.lab.loadgen.collection_kills import QUESTION_BANK, collect_in_fork, kill_at_every_call, run_in_fork
from webapp.lab.loadgen.collection_runs import (
    claim_run,
    execute_run,
    expire_heartbeat,
    fetch_all_items,
    make_source,
    order_run,
)
from webapp.lab.services import fake_opentdb as opentdb
from webapp.lab.services.fake_opentdb import ContractOptions, FakeOpenTdb, make_questions

# Of every switch both ways; all combinations: bench/collector_kills.py.
COMBINATIONS = [
    ContractOptions(short_tail=4, limited_status=429, count_error=3),
    ContractOptions(short_tail=1, limited_status=200, count_error=-3, empty_categories=1),
    pytest.param(ContractOptions(short_tail=4, limited_status=429), marks=pytest.mark.soak),
    pytest.param(ContractOptions(short_tail=1, limited_status=200, count_error=3), marks=pytest.mark.soak),
    pytest.param(
        ContractOptions(short_tail=1, limited_status=429, count_error=-3, empty_categories=2), marks=pytest.mark.soak
    ),
]
CALLS = 2


@pytest.mark.slow(reason="a process is killed at every call in turn, and started again")
@pytest.mark.parametrize("switches", COMBINATIONS)
def test_killed_at_any_call_a_run_goes_on_and_has_everything_once(work: UnitOfWork, switches: ContractOptions) -> None:
    assert kill_at_every_call(work, switches) >= 5, "there were calls to be killed at"


def test_four_processes_keep_the_limits_together(work: UnitOfWork) -> None:
    # Four runs of one source cannot be under way, so four processes call through its ledger.
    with FakeOpenTdb(make_questions(40, 2), ContractOptions(spacing=0.3)) as server:
        source = make_source(server, spacing=0.3)

        def call() -> None:
            with http_fetcher.create_client(None) as http:
                fetch = http_fetcher.HttpFetcher(work, source.name, source.limits, http, lambda: False)
                for _ in range(CALLS):
                    fetch(f"{server.address}/api_category.php")

        children = [run_in_fork(call) for _ in range(4)]
        for child in children:
            os.waitpid(child, 0)
        arrivals = [call.arrived_at for call in server.calls]
        codes = [call.code for call in server.calls]
    assert len(arrivals) == 4 * CALLS
    assert min(later - earlier for earlier, later in pairwise(arrivals)) >= 0.3
    assert 5 not in codes


def test_four_processes_never_exceed_a_daily_quota(work: UnitOfWork) -> None:
    with FakeOpenTdb(make_questions(40, 2)) as server:
        source = make_source(server, daily_quota=11)

        def call() -> None:
            with http_fetcher.create_client(None) as http:
                fetch = http_fetcher.HttpFetcher(work, source.name, source.limits, http, lambda: False)
                try:
                    for _ in range(5):
                        fetch(f"{server.address}/api_category.php")
                except http_fetcher.DailyLimitReachedError:
                    return

        for child in [run_in_fork(call) for _ in range(4)]:
            os.waitpid(child, 0)
        assert len(server.calls) == 11


def test_a_dead_workers_run_is_taken_over_and_its_calls_block_nobody(work: UnitOfWork) -> None:
    with FakeOpenTdb(QUESTION_BANK) as server:
        run = order_run(work, make_source(server))
        server.faults = lambda number, path: time.sleep(0.05)
        child = collect_in_fork(work, server)
        while len(server.calls) < 4:
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert claim_run(work) is None, "its end is not known yet"
        expire_heartbeat(work, run)
        run = execute_run(work, make_source(server), run)
    assert run.status == Status.FINISHED
    assert len(fetch_all_items(work)) == len(opentdb.dedupe_keys(QUESTION_BANK))
