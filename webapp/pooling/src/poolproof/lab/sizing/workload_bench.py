"""Measures a workload of statements on our pool, and how busy the machine is meanwhile."""

from __future__ import annotations

import time
from dataclasses import replace

from poolproof.lab.loadgen.load_profile import LoadProfile, TimedOperation
from poolproof.lab.sizing import resource_sampler
from poolproof.lab.sizing.measured_engine import create_sampler_work
from poolproof.lab.sizing.measurements import RunResult, Setting, summarize_run
from poolproof.lab.sizing.pool_workload import WorkloadProcess
from poolproof.lab.sizing.workload import Workload
from poolproof.settings import PoolSettings


class WorkloadBench:
    """A workload, measured in a process of its own; its threads are the clients."""

    extra_warm_up = 0.0
    overhead = 0.6
    """Seconds that a run takes beside what is measured."""

    def __init__(self, url: str, workload: Workload, pool: PoolSettings | None) -> None:
        """Start the process and create the workload's tables; without `pool` its engine is an application's.

        Raises:
            WorkloadRunError: when they cannot be created.
        """
        self._sampler_work = create_sampler_work(url, pool)
        self._workload_process = WorkloadProcess(url, workload, pool)
        self._server_pid = resource_sampler.find_server_pid(self._sampler_work)

    def measure(self, setting: Setting, load: LoadProfile) -> RunResult:
        """Measure one run.

        Raises:
            WorkloadRunError: when it cannot be run.
        """
        starts_at = self._workload_process.start_run(setting, load)
        sleep_until(starts_at + load.warm_up)
        before = resource_sampler.take_sample(self._sampler_work, [self._workload_process.pid], self._server_pid)
        waits = resource_sampler.watch_waits(self._sampler_work, starts_at + load.warm_up + load.seconds, setting)
        after = resource_sampler.take_sample(self._sampler_work, [self._workload_process.pid], self._server_pid)
        operations = self._workload_process.wait_result()
        usage = resource_sampler.usage_between(before, after, setting, setting.threads, pool_wait_share(operations))
        if waits is not None:
            usage = replace(usage, lock_share=waits.locks, flush_share=waits.flushes)
        return summarize_run(setting, load, operations, starts_at, clients=setting.threads, usage=usage)

    def close(self) -> None:
        """End the process and close the connection."""
        self._workload_process.close()
        self._sampler_work.engine.dispose()


def pool_wait_share(operations: list[TimedOperation]) -> float | None:
    """Return the share of the operations' time that was spent waiting for a connection."""
    succeeded = [operation for operation in operations if operation.succeeded]
    seconds = sum(operation.seconds for operation in succeeded)
    return sum(operation.wait for operation in succeeded) / seconds if seconds else None


def sleep_until(deadline: float) -> None:
    """Sleep until a moment on the monotonic clock."""
    time.sleep(max(0.0, deadline - time.monotonic()))
