"""Measures an application over HTTP, started anew for each pool size, and how busy the machine is meanwhile."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from poolproof.lab.loadgen.load_profile import LoadProfile, TimedOperation
from poolproof.lab.scenario.app_process import AppProcess
from poolproof.lab.scenario.description import Scenario
from poolproof.lab.scenario.load_processes import LoadProcesses, LoadRun, collect
from poolproof.lab.sizing import resource_sampler
from poolproof.lab.sizing.measured_engine import WorkOnEngine, create_sampler_work
from poolproof.lab.sizing.measurements import RunResult, Setting, summarize_run

DRAIN_TIMEOUT = 3.0
"""Seconds after the end of a run at which visits that are still under way are cut off, and have failed."""


class ScenarioBench:
    """The application; its visitors are in processes of their own."""

    overhead = 3.0
    """Seconds that a run takes beside what is measured: the start of the application."""
    extra_warm_up = 0.5

    def __init__(
        self, command: str, scenario: Scenario, folder: Path, *, clients: int, processes: int, url: str | None
    ) -> None:
        """Start the processes of the load; `url` of the database, for what its server says about its load."""
        self._command, self._scenario, self._clients, self._folder = command, scenario, clients, folder
        self._work: WorkOnEngine | None = create_sampler_work(url, None) if url else None
        self._processes = LoadProcesses(processes)
        self._app: AppProcess | None = None

    def measure(self, setting: Setting, load: LoadProfile) -> RunResult:
        """Measure one run, of an application that was started for it.

        Raises:
            AppStartError: when it does not start.
        """
        self._app = AppProcess(self._command, setting.pool, self._folder)
        try:
            return self._measure(self._app, setting, load)
        finally:
            self._app.close()

    def close(self) -> None:
        """End the processes of the load, and close the connection."""
        self._processes.close()
        if self._work is not None:
            self._work.engine.dispose()

    def _measure(self, app: AppProcess, setting: Setting, load: LoadProfile) -> RunResult:
        visits = load if load.rate is None else replace(load, rate=load.rate / self._scenario.requests_per_visit)
        # Without think times, which would make it need more clients for the same load.
        scenario = self._scenario.without_think_times()
        run = LoadRun(scenario, app.address, visits, self._clients, drain=DRAIN_TIMEOUT)
        starts_at, running = self._processes.start(run)
        time.sleep(max(0.0, starts_at + load.warm_up - time.monotonic()))
        before = resource_sampler.take_sample(self._work, [app.pid])
        ends_at = starts_at + load.warm_up + load.seconds
        waits = resource_sampler.watch_waits(self._work, ends_at, setting)
        after = resource_sampler.take_sample(self._work, [app.pid])
        result = collect(running, starts_at)
        operations = [
            TimedOperation(sample.intended_start, sample.seconds, succeeded=sample.is_right)
            for sample in result.samples
        ]
        concurrency = setting.threads * setting.workers
        usage = resource_sampler.usage_between(before, after, setting, concurrency, None)
        # The processes that serve are children of the one that was started.
        usage = replace(usage, process_cpu=None)
        if waits is not None:
            usage = replace(usage, lock_share=waits.locks, flush_share=waits.flushes)
        return summarize_run(
            setting, load, operations, starts_at, clients=self._clients, usage=usage, client_cpu=result.client_cpu
        )
