"""Checks whether `poolproof lab size` recommends the right pool, on three workloads with different bottlenecks.

For each workload an exhaustive run measures the latency of every size; then three ordinary runs recommend one. Each
recommended size must be at most one size away from one whose p99 is within a step of the best of the exhaustive run,
and the runs must agree: neighbouring sizes, and throughputs whose intervals overlap. Prints the tables, and exits 1
when one of these is missed. Nothing else should run on the machine meanwhile; how busy it was before is printed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from poolproof.lab.scratch_schema import open_scratch_schema
from poolproof.lab.sizing import resource_sampler, workload
from poolproof.lab.sizing.analysis import Recommendation, recommend
from poolproof.lab.sizing.measurements import Setting
from poolproof.lab.sizing.recommendation import within_one_step
from poolproof.lab.sizing.sweep import Sweep, SweepPlan, next_size_above
from poolproof.lab.sizing.usl import Interval
from poolproof.lab.sizing.workload_bench import WorkloadBench
from poolproof.settings import PoolSettings
from webapp.lab.services.database_server import DatabaseServer, new_server

SIZES = (1, 2, 4, 8, 16)
RUNS = 3
MAX_CONNECTIONS_OPTION = "--max-connections=200"


@dataclass(frozen=True)
class WorkloadCheck:
    """A workload's exhaustive run, and the ordinary runs that are compared with it."""

    name: str
    exhaustive: Recommendation
    runs: tuple[Recommendation, ...]

    @property
    def sizes(self) -> list[int]:
        """The sizes that were measured."""
        return [candidate.size for candidate in self.exhaustive.candidates]

    def are_near_best(self) -> list[bool]:
        """Return for each run whether its recommendation has a p99 within one step of the best."""
        return [within_one_step(run.setting.pool, self.exhaustive.candidates) for run in self.runs]

    def agree(self) -> bool:
        """Return whether the runs recommend neighbouring sizes with throughputs whose intervals overlap."""
        steps = [self.sizes.index(run.setting.pool) for run in self.runs]
        pairs = itertools.combinations([run.knee.throughput for run in self.runs], 2)
        return max(steps) - min(steps) <= 1 and all(first.overlaps(second) for first, second in pairs)

    @property
    def is_met(self) -> bool:
        """Whether both conditions hold."""
        return all(self.are_near_best()) and self.agree()

    def lines(self) -> Iterator[str]:
        """Yield the tables."""
        yield f"\n{self.name}: exhaustive, p99 at {self.exhaustive.rate:.0f} a second"
        yield f"  {'pool':>4}  {'a second':<26}{'p99 ms':<26}"
        for candidate in self.exhaustive.candidates:
            p99 = _format_interval(candidate.p99, 1000) if candidate.p99 else "failures"
            yield f"  {candidate.size:>4}  {_format_interval(candidate.throughput):<26}{p99:<26}"
        for number, (run, is_near) in enumerate(zip(self.runs, self.are_near_best(), strict=True), 1):
            recommended = f"POOL_SIZE={run.setting.pool}, {_format_interval(run.knee.throughput)} a second"
            p99 = _format_interval(run.knee.p99, 1000) if run.knee.p99 else "–"
            verdict = "ok" if is_near else "MISSED"
            yield f"  run {number}: {recommended}, p99 {p99} ms, limits: {', '.join(run.bottlenecks.names)}: {verdict}"
        yield f"  the runs agree: {'ok' if self.agree() else 'MISSED'}"


def check(server: DatabaseServer, name: str, seconds: float, repetitions: int) -> WorkloadCheck:
    """Make the exhaustive run and the ordinary ones."""
    custom_workload = workload.load_workload(name)
    sizes = tuple(
        sorted(
            {
                *(size for size in SIZES if size < custom_workload.threads),
                custom_workload.threads,
                next_size_above(custom_workload.threads),
            }
        )
    )
    plan = SweepPlan(Setting(1, custom_workload.threads), sizes, repetitions=repetitions, seconds=seconds)
    runs = [_run(server, custom_workload, replace(plan, seed=seed)) for seed in range(2, RUNS + 2)]
    return WorkloadCheck(name, _run(server, custom_workload, replace(plan, time_all_sizes=True)), tuple(runs))


def _run(server: DatabaseServer, custom_workload: workload.Workload, plan: SweepPlan) -> Recommendation:
    with open_scratch_schema(server.url("bench"), "size") as url:
        bench = WorkloadBench(url, custom_workload, PoolSettings())
        try:
            sweep = Sweep(bench, plan)
            sweep.run()
        finally:
            bench.close()
    recommendation = recommend(sweep.results, sweep.chosen or plan.base, sweep.rate)
    if recommendation is None or not sweep.is_complete:
        sys.exit("Stopped.")
    return recommendation


def _format_interval(interval: Interval, factor: float = 1.0) -> str:
    low, value, high = interval.low * factor, interval.value * factor, interval.high * factor
    return f"{value:.0f} ({low:.0f} to {high:.0f})"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workloads", default=",".join(workload.shipped_names()), help="names, separated by commas")
    parser.add_argument(
        "--seconds",
        type=float,
        default=1.5,
        help="for which a closed loop is measured; an open one takes twice as long",
    )
    parser.add_argument("--repetitions", type=int, default=4)
    parser.add_argument("--json", type=Path, help="store all figures in this file")
    options = parser.parse_args(arguments)
    checks, started_at = [], time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        server = new_server("mysql", Path(folder) / "server", MAX_CONNECTIONS_OPTION)
        server.create_database("bench")
        for name in options.workloads.split(","):
            cpu = resource_sampler.measure_machine_cpu(1.0) or 0.0
            print(f"{name}: before it, {cpu:.0%} of the processors are busy", flush=True)
            checks.append(check(server, name, options.seconds, options.repetitions))
            print(*checks[-1].lines(), sep="\n", flush=True)
        server.stop()
    print(f"\n{(time.monotonic() - started_at) / 60:.0f} minutes")
    if options.json:
        options.json.write_text(
            json.dumps([asdict(workload_check) for workload_check in checks], indent=1, default=str)
        )
    if not all(workload_check.is_met for workload_check in checks):
        sys.exit(1)


if __name__ == "__main__":
    main()
