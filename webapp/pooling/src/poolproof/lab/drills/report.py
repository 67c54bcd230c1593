"""The report of drills. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from poolproof.lab.drills.faults import DRILLS, DrillResult
from poolproof.lab.incident.rush import PoolKind
from poolproof.lab.reporting.report import LabReport, Table

Results = Mapping[str, Mapping[PoolKind, DrillResult]]


def build_report(results: Results, database: str, command: str, *, is_complete: bool) -> LabReport:
    """Return the report of the drills that were made, each at both pools."""
    whole = {name: pair for name, pair in results.items() if len(pair) == len(PoolKind)}
    passed = {kind: sum(pair[kind].passed for pair in whole.values()) for kind in PoolKind}
    verdict = (
        f"{passed[PoolKind.FAIR]} of {len(whole)} hold with {PoolKind.FAIR.value}, {passed[PoolKind.STOCK]} with "
        f"{PoolKind.STOCK.value}."
    )
    rows = tuple(
        (name, DRILLS[name].hypothesis, kind.value, "holds" if pair[kind].passed else "failed", pair[kind].sentence)
        for name, pair in whole.items()
        for kind in PoolKind
    )
    return LabReport(
        kind="drill",
        title="Drills",
        verdict=verdict + ("" if is_complete else " It was stopped early."),
        findings=tuple(f"{name}: {pair[PoolKind.FAIR].sentence}" for name, pair in whole.items()),
        command=command,
        tables=(Table("Drills", ("drill", "what is expected", "pool", "verdict", "what was found"), rows),),
        data={
            "database": database,
            "drills": {
                name: {kind.name.lower(): asdict(result) for kind, result in pair.items()}
                for name, pair in whole.items()
            },
        },
        is_complete=is_complete,
        grade="good" if whole and passed[PoolKind.FAIR] == len(whole) else "bad",
    )
