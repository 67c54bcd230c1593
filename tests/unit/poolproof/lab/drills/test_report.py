from __future__ import annotations

from poolproof.lab.drills.faults import DrillResult
from poolproof.lab.drills.report import build_report
from poolproof.lab.incident.rush import PoolKind

GOOD, BAD = DrillResult(passed=True, sentence="None failed."), DrillResult(passed=False, sentence="Three failed.")


def test_a_drill_counts_where_both_pools_were_tried() -> None:
    results = {"full": {PoolKind.STOCK: BAD, PoolKind.FAIR: GOOD}, "kills": {PoolKind.STOCK: BAD}}
    report = build_report(results, "there", "the command", is_complete=False)
    assert report.verdict == ("1 of 1 hold with poolproof's pool, 0 with SQLAlchemy's QueuePool. It was stopped early.")
    assert (report.grade, [row[3] for row in report.tables[0].rows]) == ("good", ["failed", "holds"])
    worse = build_report({"full": {PoolKind.STOCK: GOOD, PoolKind.FAIR: BAD}}, "there", "x", is_complete=True)
    assert worse.grade == "bad"
