"""Runs a sweep of a command: progress on the terminal, and SIGTERM handled as Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from poolproof.lab.reporting.report_output import ProgressDisplay
from poolproof.lab.sizing.sweep import Bench, Sweep, SweepPlan, SweepProgress


def run_with_progress(bench: Bench, plan: SweepPlan) -> Sweep:
    """Measure all settings of a plan; Ctrl-C ends it and keeps what was measured."""
    progress = ProgressDisplay(plan.total_seconds(bench.overhead))

    def show(state: SweepProgress) -> None:
        progress.update(f"{state.number} of {state.total}: {state.message}", remaining=state.remaining)

    sweep = Sweep(bench, plan, show)
    sweep.run()
    progress.finish()
    return sweep


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Handle SIGTERM as Ctrl-C: the schema is dropped, and the report has what was measured."""

    def stop(number: int, frame: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
