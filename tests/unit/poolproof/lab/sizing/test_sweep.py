"""The sweep: on a bench whose truth is known, and on a real MySQL."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

from poolproof.lab.loadgen.load_profile import LoadProfile
from poolproof.lab.scratch_schema import (
    LAB_MARKER_TABLE,
    SCHEMA_PREFIX,
    ScratchSchemaError,
    open_scratch_schema,
)
from poolproof.lab.sizing import workload
from poolproof.lab.sizing.analysis import Recommendation, recommend
from poolproof.lab.sizing.bottleneck import ResourceUsage, find_bottlenecks
from poolproof.lab.sizing.measurements import RunResult, Setting
from poolproof.lab.sizing.sweep import Sweep, SweepPlan, next_size_above, sizes_up_to
from poolproof.lab.sizing.usl import UslCurve
from poolproof.lab.sizing.workload_bench import WorkloadBench
from poolproof.settings import PoolSettings
from tests.support import PROJECT
from tests.support.commands import called
from tests.support.narrowing import not_none
from webapp.lab.services.poolproof_service import make_environment
from webapp.lab.services.programs import Flavour
from webapp.lab.sizing.service_bench import ServiceBench

LAW = UslCurve(100, 0.1, 0.01)
BASE = Setting(1, 32)
SIZES = (1, 2, 4, 6, 8, 12, 16)


@dataclass
class Known:
    """A bench that does what the law says, and whose p99 grows with the size; Ctrl-C comes after so many runs."""

    law: UslCurve = LAW
    stops_after: int = 10_000
    overhead: float = 0.0
    extra_warm_up: float = 0.0
    flatters: bool = False
    """Whether larger pools come out faster than they are."""
    orders: list[tuple[Setting, LoadProfile]] = field(default_factory=list)

    def measure(self, setting: Setting, load: LoadProfile) -> RunResult:
        if len(self.orders) == self.stops_after:
            raise KeyboardInterrupt
        self.orders.append((setting, load))
        rate = self.law.throughput_at(min(setting.pool, setting.threads)) * setting.workers
        served, mean = min(rate, load.rate or rate), 32 / rate
        p99 = 0.1 / setting.pool if self.flatters else 0.01 * (1 + setting.pool / 100)
        usage = ResourceUsage(setting.pool, setting.threads)
        return RunResult(setting, load, 1000, 0, served, mean, mean, p99, p99, 0, 0.01, 32, mean, usage)


def run_sweep(bench: Known, **plan: Any) -> tuple[Sweep, Recommendation | None]:
    sweep = Sweep(bench, replace(SweepPlan(BASE, SIZES), **plan))
    sweep.run()
    return sweep, recommend(sweep.results, sweep.chosen or BASE, sweep.rate)


def run_and_recommend(bench: Known, **plan: Any) -> tuple[Sweep, Recommendation]:
    """Sweep, and return what it has found as well."""
    sweep, recommendation = run_sweep(bench, **plan)
    return sweep, not_none(recommendation)


def test_the_knee_of_a_known_curve_is_found_with_its_law() -> None:
    sweep, recommendation = run_and_recommend(Known())
    best = max(LAW.throughput_at(size) for size in SIZES)
    assert sweep.is_complete
    assert recommendation.setting.pool == next(size for size in SIZES if LAW.throughput_at(size) >= 0.95 * best)
    fit = not_none(recommendation.fit)
    assert fit.curve.contention == pytest.approx(0.1)
    assert fit.has_peak
    assert sweep.rate == pytest.approx(0.75 * best)
    assert recommendation.busy_connections == pytest.approx(sweep.rate * 0.01)


def test_more_connections_than_threads_are_never_recommended() -> None:
    bench = Known(UslCurve(100, 0.0, 0.0), flatters=True)
    _, recommendation = run_and_recommend(bench, base=replace(BASE, threads=8), pools=(2, 4, 8, 12, 16))
    assert recommendation.setting.pool == 8
    assert recommendation.bottlenecks.names == ("threads",)


def test_what_has_just_started_is_given_time_before_it_is_measured() -> None:
    bench = Known(extra_warm_up=1.0)
    run_sweep(bench, seconds=2.0)
    assert {load.warm_up for _, load in bench.orders if not load.is_open} == {1.5}


def test_each_repetition_has_every_size_once_in_an_order_of_its_own() -> None:
    bench = Known()
    run_sweep(bench)
    pools = [setting.pool for setting, load in bench.orders if not load.is_open]
    rounds = [tuple(pools[first : first + len(SIZES)]) for first in range(0, len(pools), len(SIZES))]
    assert len(rounds) == 3
    assert all(sorted(order) == list(SIZES) for order in rounds)
    assert len(set(rounds)) == len(rounds)


def test_latencies_of_all_sizes_are_compared_under_the_same_arrivals() -> None:
    bench = Known()
    sweep, _ = run_sweep(bench)
    compared = [(setting.pool, load.seed) for setting, load in bench.orders if load.rate == sweep.rate]
    seeds = {pool: sorted(seed for other, seed in compared if other == pool) for pool, _ in compared}
    assert len(seeds) > 1
    assert set(map(tuple, seeds.values())) == {(1, 2, 3)}


def test_the_recommended_size_is_loaded_from_half_to_one_and_a_half_of_the_best() -> None:
    bench = Known()
    sweep, recommendation = run_and_recommend(bench)
    loads = {round(not_none(load.rate) / sweep.rate * 0.75, 2) for setting, load in bench.orders if load.is_open}
    assert loads == {0.5, 0.75, 0.9, 1.1, 1.25, 1.5}
    assert {setting for setting, load in bench.orders if load.is_open and load.rate != sweep.rate} == {
        recommendation.setting
    }


def test_threads_and_workers_are_tried_once_the_pool_is_found() -> None:
    sweep, recommendation = run_and_recommend(Known(), threads=(2, 32), workers=(1, 2), compare_group_commit=True)
    assert (recommendation.setting.workers, recommendation.setting.threads) == (2, 32)
    assert recommendation.throughput_without_group_commit is not None
    assert len({run.setting.pool for run in sweep.closed_loops() if run.setting.workers == 2}) > 1


def test_ctrl_c_keeps_what_was_measured() -> None:
    sweep, recommendation = run_sweep(Known(stops_after=9))
    assert not sweep.is_complete
    assert len(sweep.results) == 9
    assert recommendation is not None


def test_ctrl_c_before_the_first_run_leaves_nothing_to_recommend() -> None:
    assert run_sweep(Known(stops_after=0))[1] is None


def test_sizes_end_where_they_are_told_to() -> None:
    assert sizes_up_to(10) == (1, 2, 3, 4, 6, 8, 10)
    assert sizes_up_to(1) == (1,)
    assert [next_size_above(threads) for threads in (8, 16, 20, 100)] == [12, 24, 24, 101]


@pytest.mark.parametrize("minutes", [1.5, 5, 20])
def test_a_plan_fits_into_its_minutes(minutes: float) -> None:
    plan = SweepPlan(BASE, sizes_up_to(24)).fit_to(minutes, 0.6)
    assert plan.total_seconds(0.6) <= minutes * 60
    assert plan.repetitions == 3


def test_a_short_plan_leaves_sizes_out_rather_than_repetitions() -> None:
    plan = SweepPlan(BASE, sizes_up_to(24)).fit_to(0.5, 0.6)
    assert plan.repetitions == 3
    assert len(plan.pools) <= 4
    assert (plan.pools[0], plan.pools[-1]) == (1, 24)


@pytest.fixture(scope="module")
def url(server_flavour: Flavour, new_schema: Callable[[str, str], str]) -> str:
    return new_schema(server_flavour, "poolproof_size")


def schemas(url: str) -> set[str]:
    with asking(url) as ask:
        return {name for (name,) in ask("SHOW DATABASES") if name.startswith(SCHEMA_PREFIX)}


@contextmanager
def asking(url: str) -> Iterator[Callable[[str], list[tuple[str, ...]]]]:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:

        def ask(statement: str) -> list[tuple[str, ...]]:
            result = connection.execute(text(statement))
            return list(map(tuple, result)) if result.returns_rows else []

        yield ask
    engine.dispose()


def test_the_lab_works_in_a_schema_of_its_own_and_drops_it(url: str) -> None:
    with open_scratch_schema(url, "size") as own:
        assert make_url(own).database in schemas(url)
    assert schemas(url) == set()


def test_a_schema_with_somebodys_tables_is_refused_and_a_marked_one_emptied(
    server_flavour: Flavour, new_schema: Callable[[str, str], str]
) -> None:
    marked = new_schema(server_flavour, "poolproof_given")
    with asking(marked) as ask:
        ask("CREATE TABLE theirs (id INT)")
        with pytest.raises(ScratchSchemaError, match="not empty"), open_scratch_schema(marked, "size", marked):
            pass
        assert ask("SHOW TABLES") == [("theirs",)]
        ask(f"CREATE TABLE {LAB_MARKER_TABLE} (id INT)")
        with open_scratch_schema(marked, "size", marked):
            assert ask("SHOW TABLES") == [(LAB_MARKER_TABLE,)]
            ask("CREATE TABLE own (id INT)")
        assert ask("SHOW TABLES") == [(LAB_MARKER_TABLE,)]


def test_sqlite_has_no_size_to_be_found(tmp_path: Path) -> None:
    with pytest.raises(ScratchSchemaError, match="SQLite"), open_scratch_schema(f"sqlite:///{tmp_path}/x", "size"):
        pass


WAITING = """
title = "Waiting, briefly"
threads = 4
setup = ["CREATE TABLE counter (id INT PRIMARY KEY, value INT)", "INSERT INTO counter VALUES (1, 0), (2, 0)"]
[[operation]]
statements = ["SELECT 1"]
reads = true
hold = 0.02
weight = 3
[[operation]]
statements = ["UPDATE counter SET value = value + 1 WHERE id = :row"]
rows = 2
hold = 0.02
"""


def test_a_tiny_sweep_on_a_real_server_finds_that_more_connections_wait_less(url: str, tmp_path: Path) -> None:
    (tmp_path / "waiting.toml").write_text(WAITING)
    load = workload.load_workload(str(tmp_path / "waiting.toml"))
    with open_scratch_schema(url, "size") as own:
        bench = WorkloadBench(own, load, PoolSettings())
        try:
            sweep = Sweep(bench, SweepPlan(Setting(1, 4), (1, 2, 4), repetitions=2, seconds=0.2))
            sweep.run()
        finally:
            bench.close()
    recommendation = not_none(recommend(sweep.results, not_none(sweep.chosen), sweep.rate))
    alone, *_, four = recommendation.candidates
    # Of four threads that each hold one for 20 ms, one connection serves 50 a second at most, and the one at the edge.
    assert alone.throughput.value <= (1 + 0.2 / 0.02) / 0.2
    assert four.throughput.value > 1.5 * alone.throughput.value
    assert recommendation.setting.pool > 1
    assert all(run.failed == 0 for run in sweep.closed_loops())
    # From the intended start: with more to do than can be done, the wait before the start counts.
    open_loops = sorted(
        (run for run in sweep.open_loops() if run.setting == recommendation.setting),
        key=lambda run: not_none(run.load.rate),
    )
    assert open_loops[-1].p99 > open_loops[0].p50


def test_rows_that_are_waited_for_are_seen_to_limit(url: str) -> None:
    with open_scratch_schema(url, "size") as own:
        bench = WorkloadBench(own, workload.load_workload("row_lock"), PoolSettings())
        try:
            run = bench.measure(Setting(6, 6), LoadProfile(0.2, 1.0))
        finally:
            bench.close()
    assert not_none(run.usage.lock_share) > 0.3
    assert 0 < not_none(run.usage.own_cpu) <= not_none(run.usage.machine_cpu) + 0.05
    assert "locks" in find_bottlenecks(run.usage, still_rises=False, server_is_local=True).names


def test_ctrl_c_ends_the_command_with_a_report_and_without_its_schema(url: str, tmp_path: Path) -> None:
    (tmp_path / "waiting.toml").write_text(WAITING)
    size = ("lab", "size", "--workload", str(tmp_path / "waiting.toml"), "--minutes", "0.5", "--json")
    command = [sys.executable, "-m", "webapp", *size]
    running = subprocess.Popen(
        command, cwd=PROJECT, env=make_environment(url, tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    lines = iter(not_none(running.stderr).readline, "")
    assert any(line.startswith("1 of ") for line in lines)
    time.sleep(0.5)
    running.send_signal(signal.SIGINT)
    output, error = running.communicate(timeout=60)
    assert running.returncode == 0, error
    report = json.loads(output)
    assert "Stopped after" in report["verdict"]
    assert report["is_complete"] is False
    assert list((tmp_path / "reports").glob("*-size.html"))
    assert not (tmp_path / "reports" / "size-latest.json").exists()
    assert schemas(url) == set()


def test_sqlite_is_refused_in_a_sentence(tmp_path: Path) -> None:
    done = called(f"sqlite:///{tmp_path}/x.sqlite", tmp_path, "lab", "size", "--quick")
    assert done.returncode == 1
    assert "needs MySQL or MariaDB" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow(reason="each setting of the sweep is a service that is started and measured")
def test_the_product_is_measured_on_its_own_gunicorn_with_group_commit_and_without(url: str) -> None:
    with open_scratch_schema(url, "size") as own:
        bench = ServiceBench(own, PoolSettings(), clients=8)
        try:
            grouped = bench.measure(Setting(2, 4), LoadProfile(0.3, 0.6))
            alone = bench.measure(Setting(2, 4, is_grouped=False), LoadProfile(0.3, 0.6))
        finally:
            bench.close()
    for run in (grouped, alone):
        assert run.throughput > 0
        assert run.failed == 0
    # Every write holds a connection for its own commit, instead of one for all that wait.
    assert alone.hold > grouped.hold
