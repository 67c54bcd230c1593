"""The diagnoses of a fleet: the worst first, each with a remedy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from poolproof.capacity.advice import Demand, SizeRecommendation
from poolproof.capacity.budget import FleetSize, Level, compute_budget, run_checks
from poolproof.capacity.server_info import ServerInfo
from poolproof.settings import PoolSettings
from webapp.console.demand import measure_demand
from webapp.console.diagnosis import diagnose
from webapp.console.fleet_view import FleetView, HolderView, LaneView, ProcessView, ServerView
from webapp.console.severity import Diagnosis, Severity, worst_severity

NOW = 1_800_000_000.0
SETTINGS = PoolSettings()
FACTS = ServerInfo("mysql", "9.7", wait_timeout=28800, max_connections=151, max_used_connections=20)


def lane(**changes: Any) -> LaneView:
    usual = LaneView(
        "interactive", used=1, idle=3, size=8, most=8, waiting=0, oldest=0, held=0, is_slow=False, is_paused=False
    )
    return replace(usual, **changes)


def worker(number: int, **changes: Any) -> ProcessView:
    usual = ProcessView(
        f"{number}-1", "worker", number, 4000 + number, NOW - 60, 0.2, is_ours=True, lanes=[lane()], rows=[],
        rejected=0, queued=0, stuck_for=0.0, recent_usage={},
    )  # fmt: skip
    return replace(usual, **changes)


def holder(process: ProcessView, **changes: Any) -> HolderView:
    usual = HolderView(
        process, 57, 100, "interactive", "GET studio.results (request 4f1c)", 12.3, 1, "SELECT …", None, 12.0,
        "webapp/results/pages.py:18 in results", ["idle-held"], [], "", None,
    )  # fmt: skip
    return replace(usual, **changes)


def fleet(**changes: Any) -> FleetView:
    """Two workers, all well."""
    size = FleetSize(2, 8)
    usual = FleetView(
        NOW, "here", [worker(1), worker(2)], [], [], {}, 0,
        ServerView(FACTS, {"Threads_connected": 8}, polled_at=NOW), compute_budget(size, SETTINGS),
        run_checks(size, SETTINGS, FACTS), SETTINGS, [], [], {},
    )  # fmt: skip
    return replace(usual, **changes)


def diagnoses(view: FleetView, demand: Demand | None = None) -> list[Diagnosis]:
    return diagnose(view, demand or Demand())


def first(view: FleetView) -> Diagnosis:
    return diagnoses(view)[0]


def test_a_calm_fleet_is_well_and_its_numbers_are_diagnoses() -> None:
    found = diagnoses(fleet(), Demand(rate=40, busy=3.2, open_most=18))
    assert worst_severity(found) is Severity.OK
    texts = " ".join(diagnosis.text for diagnosis in found)
    assert "Connections: 2 in use, 8 open of 22, at most 18 in the last hour." in texts
    assert "Needs 3.2 of 16: 40.0 checkouts per second, 80.0 ms each." in texts


def test_whoever_holds_a_connection_wrongly_is_named_with_what_to_do() -> None:
    diagnosis = first(fleet(holders=[holder(worker(3))]))
    assert diagnosis.severity is Severity.CRITICAL
    assert (
        diagnosis.text
        == "Worker 3 has held a connection for 12 s in GET studio.results: idle while checked out: a leak?"
    )
    assert "webapp/results/pages.py:18" in diagnosis.remedy
    assert "Give the connection back before rendering" in diagnosis.remedy
    assert diagnosis.part == "holders"


def test_many_that_are_held_alike_are_one_sentence() -> None:
    held = [holder(worker(1), id=number, seconds=9.0 - number) for number in range(5)]
    of_holders = [diagnosis for diagnosis in diagnoses(fleet(holders=held)) if diagnosis.part == "holders"]
    assert [diagnosis.text for diagnosis in of_holders] == [
        "5 connections have been held for up to 9.0 s in GET studio.results: idle while checked out: a leak?"
    ]


def test_a_database_that_is_away_comes_first_and_is_timed() -> None:
    server = ServerView(FACTS, error="Can't connect", error_since=NOW - 12)
    diagnosis = first(fleet(server=server, holders=[holder(worker(1))]))
    assert diagnosis.text == "The database has not responded for 12 s: Can't connect."
    assert "answers wait in the players' browsers" in diagnosis.remedy


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"processes": [worker(1, silent_for=9.0), worker(2)]},
            "Worker 1 (process 4001) has sent no heartbeat for 9.0 s.",
        ),
        (
            {"processes": [worker(1, lanes=[lane(used=8, idle=0, waiting=5, oldest=1.2)]), worker(2)]},
            "Worker 1: 5 requests wait for a connection, the first for 1.2 s.",
        ),
        (
            {"processes": [worker(1, queued=9, stuck_for=3.2), worker(2)]},
            "Worker 1: no thread has been free for 3.2 s, and 9 requests wait for one.",
        ),
        (
            {"processes": [worker(1, rejected=7), worker(2)]},
            "7 requests were rejected with 503 in the last two minutes.",
        ),
        (
            {"server": ServerView(FACTS, {"Threads_connected": 140}, polled_at=NOW)},
            "Connections: 2 in use, 8 open of 22. The server has 140 of 151.",
        ),
        (
            {"server": ServerView(FACTS, polled_at=NOW, connections_refused_last_hour=3)},
            "The server has refused 3 connections in the last hour: Too many connections.",
        ),
    ],
)
def test_trouble_is_said_first_and_says_what_to_do(changes: dict[str, Any], text: str) -> None:
    diagnosis = first(fleet(**changes))
    assert (diagnosis.severity, diagnosis.text) == (Severity.CRITICAL, text)
    assert diagnosis.remedy


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"processes": [worker(1)]}, "1 worker is running where 2 are set."),
        (
            {"crashed": [{"name": "worker", "number": 3, "pid": 4003, "found_at": NOW - 20}]},
            "Worker 3 exited without deregistering 20 s ago: it was killed.",
        ),
        ({"overrides": {"paused": ["background"]}}, "The background lane is paused by an operator: its work waits."),
        (
            {"overrides": {"sizes": {"interactive": 4}}},
            "An operator has set the interactive lane of each worker to 4 connections.",
        ),
        (
            {"server": ServerView(FACTS, polled_at=NOW, clients_lost_last_hour=2, clients_lost_recently=2)},
            "The server has lost 2 clients in the last hour without closing the connection.",
        ),
        ({"commits_waiting": 900}, "900 answers are waiting to be committed."),
    ],
)
def test_what_is_not_yet_trouble_is_to_be_looked_at(changes: dict[str, Any], text: str) -> None:
    diagnosis = first(fleet(**changes))
    assert (diagnosis.severity, diagnosis.text) == (Severity.WARNING, text)
    assert diagnosis.remedy


def test_clients_that_an_operator_has_ended_are_no_riddle() -> None:
    server = ServerView(FACTS, polled_at=NOW, clients_lost_last_hour=1, clients_lost_recently=1)
    ended = {"kind": "ended", "at": NOW - 5, "place": "", "sentence": ""}
    assert worst_severity(diagnoses(fleet(server=server, events=[ended]))) is Severity.OK


def test_a_reload_is_no_trouble() -> None:
    found = diagnoses(fleet(processes=[worker(number) for number in range(1, 5)]))
    assert worst_severity(found) is Severity.OK
    assert any("a reload is under way" in diagnosis.text for diagnosis in found)


def test_a_check_that_fails_is_trouble() -> None:
    small = replace(FACTS, max_connections=20)
    findings = run_checks(FleetSize(2, 8), SETTINGS, small)
    assert any(finding.level is Level.FAIL for finding in findings)
    assert first(fleet(findings=findings)).part == "doctor"


def test_what_the_fleet_needs_is_little_s_law_over_its_processes() -> None:
    usage = {"seconds": 60.0, "borrows": 1200, "busy": 96.0, "requests": 900}
    demand = measure_demand([worker(1, recent_usage=usage), worker(2, recent_usage=usage), worker(3)], [])
    assert demand.rate == pytest.approx(40)
    assert demand.busy == pytest.approx(3.2)
    assert demand.mean_use_time == pytest.approx(0.08)


def test_the_labs_recommendation_is_compared_with_the_workers_that_are_running() -> None:
    recommendation = SizeRecommendation("2026-11-26 09:00:00 UTC", workers=2, pool_size=2, throughput=812.4, p99=0.04)
    (found,) = [
        diagnosis
        for diagnosis in diagnose(fleet(), Demand(rate=40, busy=2.0), recommendation)
        if diagnosis.text.startswith("The lab measured")
    ]
    assert (found.severity, found.part) == (Severity.WARNING, "size")
    assert "16 are set, 2.0 are needed now" in found.text
    assert "POOL_SIZE=2 for 2 workers" in found.remedy
