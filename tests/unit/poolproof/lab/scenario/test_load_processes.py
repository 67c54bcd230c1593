from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

from poolproof.lab.loadgen.load_profile import LoadProfile
from poolproof.lab.scenario.load_processes import LoadProcesses, LoadRun
from tests.unit.poolproof.lab.scenario.shop import serve_shop
from tests.unit.poolproof.lab.scenario.test_visitor import scenario_of


def test_users_visit_again_and_again_and_visits_begin_at_a_rate(tmp_path: Path) -> None:
    with serve_shop(tmp_path) as address, closing(LoadProcesses(2)) as processes:
        load = LoadRun(scenario_of(tmp_path), address, LoadProfile(0.0, 0.6), users=3, ramp=0.2)
        closed = processes.run(load)
        assert {sample.result for sample in closed.samples} <= {"200", "201", "303"}
        assert max(sample.intended_start for sample in closed.samples) - closed.starts_at > 0.4
        by_rate = processes.run(replace(load, profile=LoadProfile(0.0, 0.5, rate=40.0)))
    begun = [sample for sample in by_rate.samples if sample.request == "GET /"]
    # A Poisson process: 20 visits in the mean, whatever the machine does meanwhile.
    assert 5 <= len(begun) <= 45
