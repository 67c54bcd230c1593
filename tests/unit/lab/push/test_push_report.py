from __future__ import annotations

import json

from webapp.lab.loadgen.load_generator import ProcessResult
from webapp.lab.loadgen.player import RequestSample, Visit
from webapp.lab.push.push_report import (
    DatabaseStats,
    VerificationResult,
    as_text,
    summarize,
)

INTACT = VerificationResult(answers=10, missing=0, changed=0, finishes=1, unfinished=0)


def visit(*samples: RequestSample, done: bool = True) -> Visit:
    return Visit(0, list(samples), seconds=2.0, ended_after=2.0, is_complete=done)


def test_a_try_that_failed_and_one_that_ended_badly_are_told_apart() -> None:
    again = visit(RequestSample("open", 0.1, "503", is_final=False), RequestSample("open", 1.5, "200", is_final=True))
    lost = visit(RequestSample("open", 0.2, "ConnectionResetError", is_final=True), done=False)
    report = summarize([ProcessResult([again, lost], cpu_seconds=0.5, max_lag=0.01)], INTACT, None)
    assert (report.users, report.done, report.requests) == (2, 1, 3)
    assert report.failed == {"open ConnectionResetError": 1}
    assert report.first_tries_failed == {"open 503": 1, "open ConnectionResetError": 1}
    assert report.steps["open"].worst == 1.5


def test_a_client_that_was_the_bottleneck_says_so() -> None:
    samples = visit(RequestSample("open", 0.1, "200", is_final=True))
    idle = summarize([ProcessResult([samples], cpu_seconds=0.5, max_lag=0.01)], INTACT, None)
    busy = summarize([ProcessResult([samples], cpu_seconds=1.9, max_lag=0.01)], INTACT, None)
    late = summarize([ProcessResult([samples], cpu_seconds=0.5, max_lag=0.9)], INTACT, None)
    assert [summary.client_was_the_bottleneck for summary in (idle, busy, late)] == [False, True, True]
    assert "The load itself was the bottleneck" in as_text(busy)


def test_the_text_has_the_proof_and_what_the_database_saw() -> None:
    share = ProcessResult([visit(RequestSample("open", 0.1, "200", is_final=True))], cpu_seconds=0.5, max_lag=0.01)
    text = as_text(summarize([share], INTACT, DatabaseStats(connections_at_peak=7, statements=3)))
    assert "7 connections at peak, 3.00 statements per request" in text
    assert "every one is stored as it was acknowledged" in text
    broken = as_text(summarize([share], VerificationResult(10, 1, 0, 1, 0), None))
    assert "BROKEN (1 missing, 0 changed, 0 unfinished)" in broken


def test_the_json_can_be_read_and_has_everything() -> None:
    share = ProcessResult([visit(RequestSample("open", 0.1, "200", is_final=True))], cpu_seconds=0.5, max_lag=0.01)
    values = json.loads(json.dumps(summarize([share], INTACT, DatabaseStats(7, 3)).as_json()))
    assert values["steps"]["open"]["count"] == 1
    assert values["verification"]["missing"] == 0
    assert values["client_was_the_bottleneck"] is False
