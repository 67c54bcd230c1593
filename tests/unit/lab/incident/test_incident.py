"""The incident on a real MySQL: the defaults end in QueuePool's message, ours has no error."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from poolproof.lab.reporting.report import list_reports
from tests.support import PROJECT
from tests.support.commands import called, called_aside
from tests.support.waiting import wait_until
from tests.unit.lab.test_commands import without_matplotlib
from tests.unit.poolproof.lab.test_scratch_schema import all_schemas, run
from webapp.lab.services.poolproof_service import make_environment
from webapp.lab.services.programs import Flavour


@dataclass(frozen=True)
class Ended:
    status: int
    report: dict[str, Any]
    error: str
    url: str
    folder: Path


@pytest.fixture(scope="module")
def small(
    server_flavour: Flavour, new_schema: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory
) -> Ended:
    url, folder = new_schema(server_flavour, "poolproof_incident"), tmp_path_factory.mktemp("incident")
    # A pool whose time-out is 0 says at once what one of 30 s says after 30 s.
    options = ("--users", "60", "--threads", "60", "--pool-timeout", "0", "--ramp", "0.1")
    done = called_aside(url, folder, "lab", "incident", *options, "--json")
    assert done.stdout, done.stderr
    return Ended(done.returncode, json.loads(done.stdout), done.stderr, url, folder)


@pytest.mark.slow(reason="two services are pushed by turns, and the first waits until its pool gives up")
def test_the_defaults_end_in_queuepools_own_message(small: Ended) -> None:
    theirs, ours = small.report["data"]["services"]
    assert theirs["message"] == "QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 0.00"
    assert theirs["queuepool_messages"] >= 1
    assert theirs["errors"]["500, an error of the service"] >= theirs["queuepool_messages"]
    assert theirs["summary"]["done"] < 60
    assert ours["queuepool_messages"] == 0


def test_ours_has_no_error_and_loses_nothing_so_the_exit_status_is_0(small: Ended) -> None:
    ours = small.report["data"]["services"][1]
    assert (ours["errors"], ours["summary"]["done"]) == ({}, 60)
    assert ours["summary"]["verification"]["answers"] > 0
    assert (ours["summary"]["verification"]["missing"], ours["summary"]["verification"]["changed"]) == (0, 0)
    assert ours["connections_at_peak"] < small.report["data"]["services"][0]["connections_at_peak"]
    assert (small.status, small.report["grade"]) == (0, "good")


def test_the_course_is_told_four_times_a_second_and_each_request_is_kept(small: Ended) -> None:
    seconds = [row["seconds"] for row in small.report["rows"] if row["service"] == "Poolproof"]
    assert seconds[:3] == [0, 0.25, 0.5]
    requests = Path(small.report["page"].replace(".html", "-requests.csv")).read_text().splitlines()
    counted = sum(run["summary"]["requests"] for run in small.report["data"]["services"])
    assert requests[0] == "service,step,began,ended,result,message"
    assert sum(line.startswith(("Poolproof,", '"Flask-SQLAlchemy, defaults",')) for line in requests) == counted


def test_the_report_is_kept_and_what_was_made_on_the_server_is_gone(small: Ended) -> None:
    (stored,) = list_reports(small.folder / "reports")
    assert stored.kind == "incident"
    assert "QueuePool limit" in stored.verdict
    assert [name for name in all_schemas(small.url) if name.startswith("poolproof_lab_incident")] == []


def test_progress_is_told_with_the_time_that_is_left(small: Ended) -> None:
    assert "Flask-SQLAlchemy, defaults: starting · about" in small.error
    assert "Poolproof: starting · about" in small.error


def test_ctrl_c_keeps_what_was_measured_and_stops_what_was_started(
    server_flavour: Flavour, new_schema: Callable[[str, str], str], tmp_path: Path
) -> None:
    url = new_schema(server_flavour, "poolproof_incident")
    arguments = ("lab", "incident", "--users", "5", "--think", "60", "--threads", "5", "--json")
    process = subprocess.Popen(
        [sys.executable, "-m", "webapp", *arguments], cwd=PROJECT, env=make_environment(url, tmp_path),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    # People take a minute before each answer: as soon as all have begun they are in the middle of the quiz.
    wait_until(lambda: attempts(url) == 5)
    process.send_signal(signal.SIGINT)
    report = json.loads(process.communicate(timeout=60)[0])
    assert process.returncode == 1
    assert (report["is_complete"], len(report["data"]["services"])) == (False, 1)
    assert report["data"]["services"][0]["summary"]["users"] == 5
    assert [name for name in all_schemas(url) if name.startswith("poolproof_lab_incident")] == []


def attempts(url: str) -> int:
    """Return how many attempts have begun at the service under way."""
    rows = "SELECT table_schema FROM information_schema.tables WHERE table_name = 'attempt' AND table_schema LIKE '{}'"
    schemas = run(url, rows.format("poolproof_lab_incident%"))
    return int(run(url, f"SELECT COUNT(*) FROM {schemas[0]}.attempt")[0]) if schemas else 0


def test_a_database_that_is_a_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    done = called(f"sqlite:///{tmp_path}/file.sqlite", tmp_path, "lab", "incident")
    assert done.returncode == 1
    assert "This needs MySQL or MariaDB" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_extra_it_says_what_to_install_and_the_push_is_still_there(tmp_path: Path) -> None:
    incident, push, lab = without_matplotlib(
        make_environment("", tmp_path), ["incident", "--users", "5"], ["push", "--help"], ["--help"]
    )
    assert (incident.returncode, "pip install poolproof-quiz[lab]" in incident.stderr) == (1, True)
    assert "--yes" in push.stdout
    assert "pip install poolproof-quiz[lab]" in lab.stdout
