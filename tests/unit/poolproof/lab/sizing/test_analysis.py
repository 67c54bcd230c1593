from __future__ import annotations

from dataclasses import replace

from poolproof.lab.sizing.analysis import collect_candidates, recommend, usable_candidates
from tests.unit.poolproof.lab.sizing.test_sweep import BASE, Known, run_sweep


def test_a_size_counts_with_its_own_workers_and_threads_only() -> None:
    sweep, _ = run_sweep(Known())
    sizes = [candidate.size for candidate in collect_candidates(sweep.results, BASE, sweep.rate)]
    assert sizes == sorted({run.setting.pool for run in sweep.closed_loops()})
    assert collect_candidates(sweep.results, replace(BASE, workers=7), sweep.rate) == []


def test_more_connections_than_threads_are_not_recommended() -> None:
    sweep, _ = run_sweep(Known())
    candidates = collect_candidates(sweep.results, BASE, sweep.rate)
    assert max(candidate.size for candidate in usable_candidates(candidates, replace(BASE, threads=4))) == 4


def test_nothing_measured_is_nothing_recommended() -> None:
    assert recommend([], BASE, 0.0) is None
