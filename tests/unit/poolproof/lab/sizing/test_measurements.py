"""What counts in a run, and from when."""

from __future__ import annotations

import pytest

from poolproof.lab.loadgen.load_profile import LoadProfile, TimedOperation
from poolproof.lab.sizing.bottleneck import ResourceUsage
from poolproof.lab.sizing.measurements import RunResult, Setting, summarize_run

SETTING = Setting(1, 2)
USAGE = ResourceUsage(1, 2)


def figures(load: LoadProfile, *timed: TimedOperation) -> RunResult:
    return summarize_run(SETTING, load, timed, 0.0, clients=2, usage=USAGE)


def test_a_closed_loop_counts_what_ends_after_the_warm_up() -> None:
    early, across, late = TimedOperation(0.0, 0.5), TimedOperation(0.5, 1.0), TimedOperation(2.5, 1.0)
    run = figures(LoadProfile(1.0, 2.0), early, across, late)
    assert (run.done, run.throughput, run.mean) == (1, 0.5, 1.0)


def test_an_open_loop_counts_what_was_meant_to_begin_however_late_it_ended() -> None:
    early, late = TimedOperation(0.5, 9.0), TimedOperation(2.5, 10.0)
    run = figures(LoadProfile(1.0, 2.0, rate=1.0), early, late)
    assert (run.done, run.p99) == (1, 10.0)
    # Nothing ended while it was measured.
    assert run.throughput == 0


def test_what_failed_is_counted_and_has_no_latency() -> None:
    run = figures(LoadProfile(0.0, 2.0, rate=1.0), TimedOperation(0.5, 0.1), TimedOperation(0.6, 9.0, succeeded=False))
    assert (run.done, run.failed, run.worst) == (1, 1, 0.1)


def test_a_client_that_thinks_is_inside_for_its_whole_cycle() -> None:
    assert figures(LoadProfile(0.0, 2.0), TimedOperation(0.5, 0.1, think=0.4)).cycle_time == pytest.approx(0.5)


def test_a_row_has_everything_flat() -> None:
    row = figures(LoadProfile(0.0, 2.0), TimedOperation(0.5, 0.1)).as_row()
    assert row["pool"] == 1
    assert row["rate"] is None
    assert not any(isinstance(value, dict | list | tuple) for value in row.values())
