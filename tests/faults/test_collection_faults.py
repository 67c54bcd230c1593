"""Collections whose processes are killed, and many processes at once."""

from __future__ import annotations

import os
import signal
import time
from itertools import pairwise

import pytest

from webapp.collector import fetching
from webapp.collector.runs import Status
from webapp.lab.loadgen.collection_kills import BANK, collect_in_a_child, in_a_child, kill_at_every_call
from webapp.lab.loadgen.collections import bank, carried_out, let_its_worker_be_dead, ordered, source_of, taken
from webapp.lab.services import fake_opentdb as opentdb
from webapp.lab.services.fake_opentdb import StandIn, Switches, questions
from webapp.pooling.work import Work

# Of every switch both ways; all combinations: bench/collector_kills.py.
COMBINATIONS = [
    Switches(short_tail=4, limited_status=429, count_off=3),
    Switches(short_tail=1, limited_status=200, count_off=-3, empty_categories=1),
    pytest.param(Switches(short_tail=4, limited_status=429), marks=pytest.mark.soak),
    pytest.param(Switches(short_tail=1, limited_status=200, count_off=3), marks=pytest.mark.soak),
    pytest.param(Switches(short_tail=1, limited_status=429, count_off=-3, empty_categories=2), marks=pytest.mark.soak),
]
CALLS = 2


@pytest.mark.slow(reason="a process is killed at every call in turn, and started again")
@pytest.mark.parametrize("switches", COMBINATIONS)
def test_killed_at_any_call_a_run_goes_on_and_has_everything_once(work: Work, switches: Switches) -> None:
    assert kill_at_every_call(work, switches) >= 5, "there were calls to be killed at"


def test_four_processes_keep_the_limits_together(work: Work) -> None:
    # Four runs of one source cannot be under way, so four processes call through its ledger.
    with StandIn(questions(40, 2), Switches(spacing=0.3)) as server:
        source = source_of(server, spacing=0.3)

        def call() -> None:
            with fetching.client(None) as http:
                fetch = fetching.Fetcher(work, source.name, source.limits, http, lambda: False)
                for _ in range(CALLS):
                    fetch(f"{server.address}/api_category.php")

        children = [in_a_child(call) for _ in range(4)]
        for child in children:
            os.waitpid(child, 0)
        arrivals = [call.arrived for call in server.calls]
        codes = [call.code for call in server.calls]
    assert len(arrivals) == 4 * CALLS
    assert min(later - earlier for earlier, later in pairwise(arrivals)) >= 0.3
    assert 5 not in codes


def test_four_processes_never_exceed_a_daily_quota(work: Work) -> None:
    with StandIn(questions(40, 2)) as server:
        source = source_of(server, daily=11)

        def call() -> None:
            with fetching.client(None) as http:
                fetch = fetching.Fetcher(work, source.name, source.limits, http, lambda: False)
                try:
                    for _ in range(5):
                        fetch(f"{server.address}/api_category.php")
                except fetching.QuotaSpentError:
                    return

        for child in [in_a_child(call) for _ in range(4)]:
            os.waitpid(child, 0)
        assert len(server.calls) == 11


def test_a_dead_workers_run_is_taken_over_and_its_calls_block_nobody(work: Work) -> None:
    with StandIn(BANK) as server:
        run = ordered(work, source_of(server))
        server.faults = lambda number, path: time.sleep(0.05)
        child = collect_in_a_child(work, server)
        while len(server.calls) < 4:
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert taken(work) is None, "nobody knows yet that it is dead"
        let_its_worker_be_dead(work, run)
        run = carried_out(work, source_of(server), run)
    assert run.status == Status.FINISHED
    assert len(bank(work)) == len(opentdb.keys(BANK))
