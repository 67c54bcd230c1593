from __future__ import annotations

import subprocess
import sys

from click.testing import CliRunner
from sqlalchemy import URL

from poolproof.lab.doctor import command
from tests.support import PROJECT


def test_the_doctor_needs_no_library_of_numbers() -> None:
    source = "import sys, poolproof.lab.doctor; print({'numpy', 'scipy', 'matplotlib', 'jinja2'} & set(sys.modules))"
    environment = {"PYTHONPATH": str(PROJECT / "webapp" / "pooling" / "src")}
    done = subprocess.run([sys.executable, "-c", source], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def doctor(url: str, *options: str) -> tuple[int, str]:
    done = CliRunner().invoke(command, ["--url", url, *options])
    return done.exit_code, done.output


def test_the_doctor_says_whether_all_processes_fit_the_server(postgresql_url: URL) -> None:
    url = postgresql_url.render_as_string(hide_password=False)
    code, text = doctor(url, "--workers", "4")
    assert code == 1
    assert "4 workers × 15 connections × 2 while reloading" in text
    assert "share" not in text
    code, text = doctor(url, "--workers", "2", "--pool-size", "4", "--max-overflow", "0")
    assert (code, "FAIL" in text) == (0, False)


def test_a_server_that_does_not_answer_and_a_word_that_is_no_url_are_told() -> None:
    code, text = doctor("postgresql+psycopg://app:secret@127.0.0.1:1/app?connect_timeout=2")
    assert (code, "secret" in text, "Traceback" in text) == (1, False, False)
    assert doctor("nonsense")[0] == 2
