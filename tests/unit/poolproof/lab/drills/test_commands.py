from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from sqlalchemy import URL

from poolproof.lab.drills.commands import command


def test_a_drill_is_made_and_reported(postgresql_url: URL, tmp_path: Path) -> None:
    url = postgresql_url.render_as_string(hide_password=False)
    options = ["full", "--url", url, "--pool-size", "2", "--pool-timeout", "0.2", "--reports", str(tmp_path)]
    done = CliRunner().invoke(command, options)
    assert done.exit_code == 0, done.output
    assert "1 of 1 hold with poolproof's pool" in done.output
    assert list(tmp_path.glob("*-drill.html"))


def test_a_file_and_a_server_elsewhere_are_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, ["--url", f"sqlite:///{tmp_path}/x"])
    assert (done.exit_code, "need MySQL, MariaDB or PostgreSQL" in done.output) == (1, True)
    done = CliRunner().invoke(command, ["--url", "mysql+pymysql://app:secret@192.0.2.1/app"])
    assert (done.exit_code, "secret" in done.output) == (2, False)
