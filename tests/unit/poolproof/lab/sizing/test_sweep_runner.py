from __future__ import annotations

import signal

import pytest

from poolproof.lab.sizing.sweep import SweepPlan
from poolproof.lab.sizing.sweep_runner import run_with_progress, sigterm_as_interrupt
from tests.unit.poolproof.lab.sizing.test_sweep import BASE, SIZES, Known


def test_progress_is_printed_while_all_settings_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    sweep = run_with_progress(Known(), SweepPlan(BASE, SIZES))
    assert sweep.is_complete
    assert capsys.readouterr().err.startswith("1 of ")


def test_sigterm_is_handled_as_ctrl_c() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), sigterm_as_interrupt():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
