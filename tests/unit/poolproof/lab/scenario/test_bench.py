from __future__ import annotations

import shlex
import sys
from contextlib import closing
from pathlib import Path

import pytest

from poolproof.lab.loadgen.load_profile import LoadProfile
from poolproof.lab.scenario.bench import ScenarioBench
from poolproof.lab.sizing.measurements import Setting
from tests.support import PROJECT
from tests.unit.poolproof.lab.scenario.test_visitor import scenario_of

APP = shlex.join([sys.executable, str(PROJECT / "tests" / "apps" / "stdlib_app.py")])


@pytest.mark.soak
def test_an_application_is_faster_with_more_connections_where_they_are_held(tmp_path: Path) -> None:
    command = f"{APP} sqlite:///{tmp_path}/shop.sqlite {{port}} {{pool}}"
    scenario = scenario_of(tmp_path)
    with closing(ScenarioBench(command, scenario, tmp_path, clients=4, processes=1, url=None)) as bench:
        one, four = (bench.measure(Setting(pool, 4), LoadProfile(0.5, 3.0)) for pool in (1, 4))
    assert one.failed == four.failed == 0
    # A request holds its connection for 20 ms.
    assert one.throughput < 70
    assert four.throughput > 1.5 * one.throughput
