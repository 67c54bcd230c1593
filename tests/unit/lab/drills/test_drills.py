"""Drills pass on our configuration, and fail where the protection that they test is taken away."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine, text

from poolproof.lab.scratch_schema import LAB_MARKER_TABLE
from tests.support import PROJECT
from tests.support.narrowing import match_in, not_none
from webapp.cli import create_cli
from webapp.lab.drills import DRILLS
from webapp.lab.drills.framework import DrillTarget
from webapp.lab.drills.runner import DrillResult, run_drills
from webapp.lab.services import programs
from webapp.lab.services.poolproof_service import make_environment
from webapp.lab.services.programs import Flavour

SECTION = match_in(r"^## Drills\n(.*?)^## ", (PROJECT / "docs" / "lab.md").read_text(), re.MULTILINE | re.DOTALL)[1]
QUICK = "leak"


def test_every_drill_is_documented_and_no_other() -> None:
    assert re.findall(r"^\| `([a-z-]+)` \|", SECTION, re.MULTILINE) == list(DRILLS)


def test_every_drill_says_what_it_takes_away() -> None:
    for drill in DRILLS.values():
        assert drill.hypothesis.endswith(".")
        assert drill.unprotected
        assert not drill.unprotected.endswith(".")


@pytest.fixture(scope="module")
def target(server_flavour: Flavour, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DrillTarget]:
    """The lab's own server, by a program that stands for one on the PATH."""
    server_program = programs.get_program(server_flavour)
    program = tmp_path_factory.mktemp("program") / "server"
    program.write_text(
        f'#!/bin/sh\nexec {shlex.join(server_program.command)} "$@" {shlex.join(server_program.options)}\n'
    )
    program.chmod(0o755)
    target = DrillTarget(programs.find_program(str(program)))
    yield target
    target.close()
    assert not target._folder.exists()
    assert all(server.process is None for server in target._servers)


def run_one(target: DrillTarget, name: str, *, is_protected: bool) -> DrillResult:
    (result,) = run_drills(target, [DRILLS[name]], is_protected=is_protected, on_progress=lambda _: None)
    return result


def test_forgotten_connections_are_found_by_our_pool(target: DrillTarget) -> None:
    ours = not_none(run_one(target, "mute", is_protected=True).history)
    # How soon depends on the machine, which may stand still; that there is no error and that it recovers does not.
    assert ours.errors() == {}
    assert ours.time_to_full_rate() is not None


@pytest.mark.soak
def test_forgotten_connections_cost_our_pool_no_time_and_are_waited_for_for_ever_by_the_stock_one(
    target: DrillTarget,
) -> None:
    ours, stock = (run_one(target, "mute", is_protected=is_protected) for is_protected in (True, False))
    assert ours.verdict == "passed", ours.checks
    assert stock.verdict == "failed", stock.checks
    assert not_none(stock.history).errors() == {"no end": 4}


@pytest.fixture(scope="module")
def staging(server_flavour: Flavour, new_schema: Callable[[str, str], str]) -> Callable[[str], str]:
    """A schema of the operator's, by its name, marked as one for drills."""

    def make(name: str) -> str:
        url = new_schema(server_flavour, f"poolproof_drills_{name}")
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text(f"CREATE TABLE {LAB_MARKER_TABLE} (id INT PRIMARY KEY)"))
        engine.dispose()
        return url

    return make


def drill(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = make_environment(f"sqlite:///{folder / 'unused.sqlite'}", folder)
    command = [sys.executable, "-m", "webapp", "lab", "drill", *arguments]
    return subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # fmt: skip


def against(url: str, *options: str) -> tuple[str, ...]:
    return ("--against", url, "--yes", *options)


@dataclass(frozen=True)
class Leaks:
    """The same leak with our pool and with the stock one, rehearsed at the same time: mostly they wait."""

    folder: Path
    ours: subprocess.CompletedProcess[str]
    stock: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def leaks(staging: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Leaks:
    folder = tmp_path_factory.mktemp("leaks")
    report_folder = ("--reports", str(folder / "kept"))
    running = (
        drill(folder / "ours", QUICK, "frozen", *against(staging("ours"), "--json")),
        drill(folder / "stock", QUICK, "--without-protection", *against(staging("stock"), *report_folder)),
    )
    results = [(process.communicate(timeout=100), process.args, process.returncode) for process in running]
    return Leaks(folder, *(subprocess.CompletedProcess(args, status, *output) for output, args, status in results))


def test_on_a_staging_server_a_leak_is_named_and_freed_and_what_needs_an_own_server_is_left_out(leaks: Leaks) -> None:
    report: dict[str, Any] = json.loads(leaks.ours.stdout)
    verdicts = {drill["drill"]: drill["verdict"] for drill in report["data"]["drills"]}
    assert verdicts.keys() == {QUICK, "frozen"}
    assert verdicts["frozen"] == "skipped"
    leak = next(drill for drill in report["data"]["drills"] if drill["drill"] == QUICK)
    assert "is orphaned" in leak["checks"][0]["observed"]
    # How soon depends on the machine, which may stand still; that it recovers does not.
    assert not any("never again" in check["observed"] for check in leak["checks"])
    assert leaks.ours.returncode == (0 if verdicts[QUICK] == "passed" else 1), leaks.ours.stderr
    assert report["is_complete"]
    assert Path(report["page"]).is_file()
    assert len(report["rows"]) == len(leak["timeline"])
    assert "left" in leaks.ours.stderr


def test_the_same_leak_stops_the_stock_pool_for_good_and_the_exit_status_says_so(leaks: Leaks) -> None:
    assert leaks.stock.returncode == 1, leaks.stock.stderr
    assert re.search(rf"^{QUICK} +failed +\d+ .*– ", leaks.stock.stdout, re.MULTILINE)
    assert "full rate within 2.5 s of the fault's end: never again" in leaks.stock.stdout
    assert [path.suffix for path in sorted((leaks.folder / "kept").iterdir())] == [".html", ".json"]


def test_ctrl_c_keeps_what_was_measured(staging: Callable[[str], str], tmp_path: Path) -> None:
    running = drill(tmp_path, "slow", QUICK, *against(staging("stopped"), "--json"))
    assert running.stderr is not None
    for line in running.stderr:
        if line.startswith("slow:"):
            break
    time.sleep(0.7)
    running.send_signal(signal.SIGINT)
    output, error = running.communicate(timeout=60)
    assert running.returncode == 130, error
    report = json.loads(output)
    assert not report["is_complete"]
    assert [(drill["drill"], drill["verdict"]) for drill in report["data"]["drills"]] == [("slow", "interrupted")]
    assert report["data"]["drills"][0]["units"] > 0


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (("nonsense",), 2, "'nonsense' is not one of 'wait-timeout'"),
        (("--mysqld", "/nowhere/mysqld"), 1, "/nowhere/mysqld is not a program that can be run."),
        (("--against", "mysql://root@192.0.2.1/quiz"), 2, "Add --yes if"),
        (("--against", "sqlite:///quiz", "--yes"), 2, "--against takes a MySQL or MariaDB server"),
        (("--against", "mysql://a:secret@127.0.0.1:1/b", "--yes"), 1, "cannot be reached"),
    ],
)
def test_what_cannot_be_rehearsed_is_told_in_a_sentence(
    app: Flask, arguments: tuple[str, ...], status: int, sentence: str
) -> None:
    result = app.test_cli_runner().invoke(create_cli(lambda: app), ["lab", "drill", *arguments])
    assert result.exit_code == status
    assert sentence in result.output
    assert "secret" not in result.output
    assert "Traceback" not in result.output


def test_a_server_that_is_not_marked_is_left_alone(
    app: Flask, server_flavour: Flavour, new_schema: Callable[[str, str], str]
) -> None:
    url = new_schema(server_flavour, "poolproof_unmarked")
    arguments = ["lab", "drill", "--against", url, "--yes"]
    result = app.test_cli_runner().invoke(create_cli(lambda: app), arguments)
    assert result.exit_code == 1
    assert "is not marked as a server for drills" in result.output


def test_without_a_server_program_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "EXTRA_FOLDERS", (str(tmp_path),))
    with pytest.raises(programs.ServerError, match="apt install mysql-server-core"):
        programs.find_program(None)
