"""Does `poolproof lab size` recommend the right pool? Three workloads, each limited by something else.

For each workload an exhaustive run times every size; then three ordinary runs recommend one. Each recommended size
must be at most one step on the ladder of sizes away from one whose p99 is as good as the best of the exhaustive run,
and the runs must agree: neighbouring sizes, and throughputs whose intervals overlap. Prints the tables, and exits 1
when one is missed. Nothing else should run on the machine meanwhile; how busy it was before is printed.
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

from poolproof.settings import PoolSettings
from webapp.lab.services.database_server import DatabaseServer, new_server
from webapp.lab.services.scratch_schema import open_scratch_schema
from webapp.lab.sizing import resource_sampler, workload
from webapp.lab.sizing.analysis import Recommendation, recommend
from webapp.lab.sizing.measurements import Setting
from webapp.lab.sizing.recommendation import within_one_step
from webapp.lab.sizing.sweep import Sweep, SweepPlan, next_size_above
from webapp.lab.sizing.usl import Interval
from webapp.lab.sizing.workload_bench import WorkloadBench

SIZES = (1, 2, 4, 8, 16)
RUNS = 3
MOST_CONNECTIONS = "--max-connections=200"


@dataclass(frozen=True)
class Judged:
    """A workload's exhaustive run, and the runs that are judged by it."""

    name: str
    exhaustive: Recommendation
    runs: tuple[Recommendation, ...]

    @property
    def sizes(self) -> list[int]:
        """The ladder."""
        return [one.size for one in self.exhaustive.candidates]

    def near_the_best(self) -> list[bool]:
        """Whether each run's recommendation has a p99 within one step of the best."""
        return [within_one_step(run.setting.pool, self.exhaustive.candidates) for run in self.runs]

    def agree(self) -> bool:
        """Whether the runs found the same within a step and within their intervals."""
        steps = [self.sizes.index(run.setting.pool) for run in self.runs]
        pairs = itertools.combinations([run.knee.throughput for run in self.runs], 2)
        return max(steps) - min(steps) <= 1 and all(one.overlaps(other) for one, other in pairs)

    @property
    def is_met(self) -> bool:
        """Whether all of it holds."""
        return all(self.near_the_best()) and self.agree()

    def lines(self) -> Iterator[str]:
        """Yield the tables."""
        yield f"\n{self.name}: exhaustive, p99 at {self.exhaustive.rate:.0f} a second"
        yield f"  {'pool':>4}  {'a second':<26}{'p99 ms':<26}"
        for one in self.exhaustive.candidates:
            p99 = _shown(one.p99, 1000) if one.p99 else "failures"
            yield f"  {one.size:>4}  {_shown(one.throughput):<26}{p99:<26}"
        for number, (run, is_near) in enumerate(zip(self.runs, self.near_the_best(), strict=True), 1):
            said = f"POOL_SIZE={run.setting.pool}, {_shown(run.knee.throughput)} a second"
            p99 = _shown(run.knee.p99, 1000) if run.knee.p99 else "–"
            verdict = "ok" if is_near else "MISSED"
            yield f"  run {number}: {said}, p99 {p99} ms, limits: {', '.join(run.bottlenecks.names)}: {verdict}"
        yield f"  the runs agree: {'ok' if self.agree() else 'MISSED'}"


def judge(server: DatabaseServer, name: str, seconds: float, repetitions: int) -> Judged:
    """Make the exhaustive run and the others."""
    load = workload.load_workload(name)
    sizes = tuple(
        sorted({*(size for size in SIZES if size < load.threads), load.threads, next_size_above(load.threads)})
    )
    plan = SweepPlan(Setting(1, load.threads), sizes, repetitions=repetitions, seconds=seconds)
    runs = [_run(server, load, replace(plan, seed=seed)) for seed in range(2, RUNS + 2)]
    return Judged(name, _run(server, load, replace(plan, time_all_sizes=True)), tuple(runs))


def _run(server: DatabaseServer, load: workload.Workload, plan: SweepPlan) -> Recommendation:
    with open_scratch_schema(server.url("bench"), "size") as url:
        bench = WorkloadBench(url, load, PoolSettings())
        try:
            sweep = Sweep(bench, plan)
            sweep.run()
        finally:
            bench.close()
    found = recommend(sweep.results, sweep.chosen or plan.base, sweep.rate)
    if found is None or not sweep.is_complete:
        sys.exit("It was stopped.")
    return found


def _shown(one: Interval, times: float = 1.0) -> str:
    return f"{one.value * times:.0f} ({one.low * times:.0f} to {one.high * times:.0f})"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, judge."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--workloads", default=",".join(workload.shipped_names()), help="names, with commas between")
    options.add_argument("--seconds", type=float, default=1.5, help="of a closed loop; an open one takes twice as long")
    options.add_argument("--repetitions", type=int, default=4)
    options.add_argument("--json", type=Path, help="keep all figures in this file")
    given = options.parse_args(arguments)
    judged, began = [], time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        server = new_server("mysql", Path(folder) / "server", MOST_CONNECTIONS)
        server.create_database("bench")
        for name in given.workloads.split(","):
            print(
                f"{name}: before it, {resource_sampler.measure_machine_cpu(1.0) or 0:.0%} of the processors are busy",
                flush=True,
            )
            judged.append(judge(server, name, given.seconds, given.repetitions))
            print(*judged[-1].lines(), sep="\n", flush=True)
        server.stop()
    print(f"\n{(time.monotonic() - began) / 60:.0f} minutes")
    if given.json:
        given.json.write_text(json.dumps([asdict(one) for one in judged], indent=1, default=str))
    if not all(one.is_met for one in judged):
        sys.exit(1)


if __name__ == "__main__":
    main()
