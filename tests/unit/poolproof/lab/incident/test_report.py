from __future__ import annotations

from poolproof.lab.incident.report import build_report, summarize
from poolproof.lab.incident.rush import PoolKind, RushOptions, RushRequest
from poolproof.lab.reporting.report import as_html

OPTIONS = RushOptions("sqlite://", 2, 1, 0, 1.0, 0.02, 5.0)
EVEN = [RushRequest(number % 2, number / 10, 0.1, number / 10 + 0.1) for number in range(40)]
GREEDY = [
    *(RushRequest(0, number / 10, 0.0, number / 10 + 0.1) for number in range(40)),
    RushRequest(1, 0.0, 4.0, 4.0, "no connection in time", "QueuePool limit of size 1 overflow 0 reached"),
]


def test_one_thread_that_gets_all_is_unfair_and_the_others_wait_is_counted() -> None:
    summary = summarize(GREEDY, 2)
    assert (summary.fairness, summary.fewest, summary.most, summary.wait_worst) == (0.5, 0, 40, 4.0)
    assert summary.errors == {"no connection in time": 1}


def test_the_report_has_both_pools_and_the_first_message() -> None:
    report = build_report(
        {PoolKind.STOCK: GREEDY, PoolKind.FAIR: EVEN}, OPTIONS, "sqlite", "the command", is_complete=True
    )
    assert report.grade == "good"
    assert "SQLAlchemy's QueuePool: 1 requests failed, 40 were served, Jain's index 0.500" in report.verdict
    assert "poolproof's pool: no request failed, 40 were served, Jain's index 1.000" in report.verdict
    assert "QueuePool limit of size 1 overflow 0 reached" in report.findings[0]
    assert len(report.figures) == 2
    assert "The two pools" in as_html(report)


def test_an_incident_that_was_stopped_early_says_so() -> None:
    report = build_report({PoolKind.STOCK: GREEDY}, OPTIONS, "sqlite", "the command", is_complete=False)
    assert report.verdict == "It was stopped too early."
