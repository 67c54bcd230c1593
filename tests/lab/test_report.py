from __future__ import annotations

import json

from webapp.lab.load import Share
from webapp.lab.push import Sample, Visit
from webapp.lab.report import Proof, Server, as_text, latency, sum_up

WHOLE = Proof(answers=10, missing=0, changed=0, finishes=1, unfinished=0)


def visit(*samples: Sample, done: bool = True) -> Visit:
    return Visit(0, list(samples), seconds=2.0, ended_after=2.0, is_done=done)


def test_percentiles_are_those_of_the_sorted_durations() -> None:
    found = latency([number / 100 for number in range(100, 0, -1)])
    assert (found.count, found.p50, found.p95, found.p99, found.worst) == (100, 0.51, 0.96, 1.0, 1.0)
    assert latency([]).worst == 0


def test_a_try_that_failed_and_one_that_ended_badly_are_told_apart() -> None:
    again = visit(Sample("open", 0.1, "503", is_final=False), Sample("open", 1.5, "200", is_final=True))
    lost = visit(Sample("open", 0.2, "ConnectionResetError", is_final=True), done=False)
    report = sum_up([Share([again, lost], cpu=0.5, lag=0.01)], WHOLE, None)
    assert (report.users, report.done, report.requests) == (2, 1, 3)
    assert report.failed == {"open ConnectionResetError": 1}
    assert report.first_tries_failed == {"open 503": 1, "open ConnectionResetError": 1}
    assert report.steps["open"].worst == 1.5


def test_a_client_that_was_the_bottleneck_says_so() -> None:
    samples = visit(Sample("open", 0.1, "200", is_final=True))
    idle = sum_up([Share([samples], cpu=0.5, lag=0.01)], WHOLE, None)
    busy = sum_up([Share([samples], cpu=1.9, lag=0.01)], WHOLE, None)
    late = sum_up([Share([samples], cpu=0.5, lag=0.9)], WHOLE, None)
    assert [one.client_was_the_bottleneck for one in (idle, busy, late)] == [False, True, True]
    assert "The load itself was the bottleneck" in as_text(busy)


def test_the_text_has_the_proof_and_what_the_database_saw() -> None:
    share = Share([visit(Sample("open", 0.1, "200", is_final=True))], cpu=0.5, lag=0.01)
    text = as_text(sum_up([share], WHOLE, Server(connections_at_peak=7, statements=3)))
    assert "7 connections at peak, 3.00 statements per request" in text
    assert "every one is stored as it was acknowledged" in text
    broken = as_text(sum_up([share], Proof(10, 1, 0, 1, 0), None))
    assert "BROKEN (1 missing, 0 changed, 0 unfinished)" in broken


def test_the_json_can_be_read_and_has_everything() -> None:
    share = Share([visit(Sample("open", 0.1, "200", is_final=True))], cpu=0.5, lag=0.01)
    found = json.loads(json.dumps(sum_up([share], WHOLE, Server(7, 3)).as_json()))
    assert found["steps"]["open"]["count"] == 1
    assert found["proof"]["missing"] == 0
    assert found["client_was_the_bottleneck"] is False
