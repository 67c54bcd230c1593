from __future__ import annotations

import os

from poolproof.lab.sizing.measurements import Setting
from poolproof.lab.sizing.resource_sampler import ResourceSample, cpu_seconds, measure_machine_cpu, usage_between


def test_shares_are_of_the_time_between_two_samples() -> None:
    before = ResourceSample(10.0, 1.0, 4.0, {7: 0.5}, lock_wait=0.0)
    after = ResourceSample(12.0, 4.0, 8.0, {7: 1.5}, lock_wait=2.0)
    usage = usage_between(before, after, Setting(2, 8), 8, 0.25)
    assert (usage.machine_cpu, usage.process_cpu, usage.lock_share, usage.pool_share) == (0.75, 0.5, 0.5, 0.25)
    assert (usage.own_cpu, usage.flush_share) == (None, None)


def test_the_processor_time_of_a_process_is_read_and_of_none_is_not_known() -> None:
    assert (cpu_seconds(os.getpid()) or 0) > 0
    assert cpu_seconds(2**22 + 1) is None
    assert 0 <= (measure_machine_cpu(0.05) or 0) <= 1
