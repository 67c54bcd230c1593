from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from poolproof.lab.incident.commands import command


def test_both_pools_are_used_and_reported(tmp_path: Path) -> None:
    options = ["--url", f"sqlite:///{tmp_path}/x", "--seconds", "0.5", "--threads", "4", "--pool-size", "2", "--json"]
    done = CliRunner().invoke(command, [*options, "--pool-timeout", "20", "--reports", str(tmp_path)])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["data"]["fair"]["failed"] == 0
    assert report["data"]["stock"]["served"] > 0
    assert list(tmp_path.glob("*-incident.html"))


def test_a_server_elsewhere_needs_a_yes_and_its_password_is_not_shown(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, ["--url", "postgresql+psycopg://app:secret@192.0.2.1/app"])
    assert (done.exit_code, "--yes" in done.output, "secret" in done.output) == (2, True, False)
