"""`poolproof collect run` in a process of its own, and how signals stop it."""

from __future__ import annotations

import signal
import subprocess
import threading

import pytest
from flask import Flask

from webapp.cli import create_cli
from webapp.lab.services.fake_opentdb import ContractOptions, FakeOpenTdb, make_questions
from webapp.lab.services.poolproof_service import POOLPROOF_COMMAND, make_environment, run_poolproof
from webapp.settings import PROJECT_ROOT

FINISHED, CANCELLED = 0, 130


class SignalAt:
    """A fault plan without faults that sends a signal to the collecting process at its third call."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number
        self.process: subprocess.Popen[str] | None = None
        self.has_process = threading.Event()
        self.is_sent = False

    def __call__(self, call: int, path: str) -> None:
        self.has_process.wait()
        if call == 2 and self.process is not None:
            self.process.send_signal(self.number)
            self.is_sent = True


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an installation whose database is up to date."""
    folder = tmp_path_factory.mktemp("collecting")
    environment = make_environment(f"sqlite:///{folder / 'collecting.sqlite'}", folder)
    assert run_poolproof(environment, "db", "upgrade").returncode == 0
    return environment


def in_the_background() -> None:
    # As a shell without job control starts what a script puts into the background.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.parametrize(
    ("number", "is_in_background", "status", "message"),
    [
        (signal.SIGINT, False, CANCELLED, "is cancelled"),
        (signal.SIGINT, True, FINISHED, "is finished"),
        (signal.SIGTERM, True, CANCELLED, "is cancelled"),
    ],
)
def test_ctrl_c_ends_it_in_order_unless_it_was_started_with_ctrl_c_ignored(
    environment: dict[str, str], number: signal.Signals, *, is_in_background: bool, status: int, message: str
) -> None:
    with FakeOpenTdb(make_questions(120, 3), ContractOptions(spacing=0.0), plan := SignalAt(number)) as source:
        address = {"POOLPROOF_OPENTDB_URL": source.address, "POOLPROOF_OPENTDB_MIN_INTERVAL": "0"}
        plan.process = subprocess.Popen(
            [*POOLPROOF_COMMAND, "collect", "run", "opentdb"], cwd=PROJECT_ROOT, env={**environment, **address},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=in_the_background if is_in_background else None,  # noqa: PLW1509
        )  # fmt: skip
        plan.has_process.set()
        output, error = plan.process.communicate(timeout=120)
    assert plan.is_sent, error
    assert (plan.process.returncode, message in output) == (status, True), error


def test_the_sources_are_listed_with_their_limits_and_the_latest_runs(app: Flask) -> None:
    result = app.test_cli_runner().invoke(create_cli(lambda: app), ["collect", "list"])
    assert result.exit_code == 0
    assert "opentdb" in result.stdout
    assert "one call every 5 s" in result.stdout
