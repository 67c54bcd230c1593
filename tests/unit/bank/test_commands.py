from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from poolproof.fleet.agent import process_identity
from poolproof.fleet.commands import CommandQueue
from poolproof.fleet.registry import FleetDirectory
from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support import PROJECT
from tests.support.narrowing import match_in
from tests.support.waiting import wait_until
from webapp.bank import items
from webapp.bank.items import Filters, Item
from webapp.cli import create_cli
from webapp.lab.services.poolproof_service import run_poolproof_service

RIVERS = b"#Q Which river is the longest?\n^ Nile\nA Rhine\nB Nile\n\n#Q Which one is cold?\n^ Both\nA One\n\n"
LAKES = b"#Q Which lake is \x93deep\x94?\r\n^ Baikal\r\nA Baikal\r\nB Erie\r\n"


@pytest.fixture
def command(app: Flask) -> Callable[..., Result]:
    """Run `poolproof items import` with these arguments."""
    return lambda *arguments, **options: app.test_cli_runner().invoke(
        create_cli(lambda: app), ["items", "import", *map(str, arguments)], **options
    )


@pytest.fixture
def rivers(tmp_path: Path) -> Path:
    path = tmp_path / "long-rivers"
    path.write_bytes(RIVERS)
    return path


@pytest.fixture
def lakes(tmp_path: Path) -> Path:
    path = tmp_path / "lakes.txt"
    path.write_bytes(LAKES)
    return path


def bank(work: UnitOfWork) -> list[Item]:
    with work.read() as connection:
        return list(items.search(connection, Filters(), None, 100).rows)


def counts(result: Result, name: str) -> list[int]:
    """Records, new, duplicate, repaired, rejected in the table's line for this file."""
    return [int(number) for number in match_in(rf"{name}\s+(\d.*)", result.stdout)[1].split()]


def test_files_are_imported_and_what_became_of_them_is_told(
    command: Callable[..., Result], work: UnitOfWork, rivers: Path, lakes: Path
) -> None:
    result = command("--format", "opentriviaqa", rivers, lakes)
    assert result.exit_code == 0
    assert counts(result, "long-rivers") == [2, 1, 0, 0, 1]
    assert counts(result, "lakes.txt") == [1, 1, 0, 1, 0]
    assert counts(result, "total") == [3, 2, 0, 1, 1]
    assert [(item.category, item.stem) for item in bank(work)] == [
        ("Long rivers", "Which river is the longest?"),
        ("Lakes", "Which lake is “deep”?"),
    ]


def test_a_rejected_record_is_named_by_file_and_line(command: Callable[..., Result], rivers: Path) -> None:
    result = command("--format", "opentriviaqa", rivers)
    assert result.stderr == f"{rivers}:6: The answer 'Both' matches no option.\n"


def test_the_same_file_again_adds_nothing(command: Callable[..., Result], work: UnitOfWork, rivers: Path) -> None:
    command("--format", "opentriviaqa", rivers)
    result = command("--format", "opentriviaqa", rivers)
    assert (result.exit_code, counts(result, "long-rivers"), len(bank(work))) == (0, [2, 0, 1, 0, 1], 1)


def test_a_dry_run_stores_nothing(command: Callable[..., Result], work: UnitOfWork, rivers: Path) -> None:
    result = command("--dry-run", "--format", "opentriviaqa", rivers, rivers)
    assert "would be new" in result.stdout
    assert counts(result, "total") == [4, 1, 1, 0, 2]
    assert bank(work) == []


def test_a_category_can_be_given(command: Callable[..., Result], work: UnitOfWork, rivers: Path) -> None:
    command("--format", "opentriviaqa", "--category", "Water", rivers)
    assert [item.category for item in bank(work)] == ["Water"]


def test_json_is_known_by_its_name(command: Callable[..., Result], work: UnitOfWork, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps([{"kind": "multiple", "stem": "Which?", "choices": ["a", "b"], "right": [0, 1]}, 5]))
    result = command(path)
    assert counts(result, "mine.json") == [2, 1, 0, 0, 1]
    assert result.stderr == f"{path}:2: An item is an object.\n"
    assert [item.right for item in bank(work)] == [(0, 1)]


def test_gift_is_known_by_its_name(command: Callable[..., Result], work: UnitOfWork, tmp_path: Path) -> None:
    path = tmp_path / "mine.gift"
    path.write_text("$CATEGORY: Water\n\nIs it wet? {T}\n\nWhy? {}\n")
    result = command(path)
    assert counts(result, "mine.gift") == [2, 1, 0, 0, 1]
    assert result.stderr == f"{path}:5: An essay is not supported; true/false, single and multiple choice are.\n"
    assert [(item.stem, item.category) for item in bank(work)] == [("Is it wet?", "Water")]


def test_csv_is_known_by_its_name(command: Callable[..., Result], work: UnitOfWork, tmp_path: Path) -> None:
    path = tmp_path / "Mine.CSV"
    path.write_text("stem;choice_1;choice_2;right\nIs it wet?;Yes;No;1\nIs it?;Yes;No;3\n")
    result = command(path)
    assert counts(result, "Mine.CSV") == [2, 1, 0, 0, 1]
    assert result.stderr == f"{path}:3: right names choice 3, and there are 2.\n"
    assert [item.stem for item in bank(work)] == ["Is it wet?"]


def test_moodle_xml_is_known_by_its_name_and_kept_up_to_where_it_breaks(
    command: Callable[..., Result], work: UnitOfWork, tmp_path: Path
) -> None:
    path = tmp_path / "mine.xml"
    answer = '<answer fraction="{}"><text>{}</text></answer>'
    question = f"{answer.format(100, 'true')}{answer.format(0, 'false')}<questiontext><text>Wet?</text></questiontext>"
    path.write_text(f'<quiz>\n<question type="essay"/>\n<question type="truefalse">{question}</question>\n</quizz>')
    result = command(path)
    assert result.exit_code == 1
    assert counts(result, "mine.xml") == [2, 1, 0, 0, 1]
    assert f"{path}:2: A question of type 'essay' is not supported" in result.stderr
    assert "could not be imported: from line 4 on this is no XML" in result.stderr
    assert [item.stem for item in bank(work)] == ["Wet?"]


def test_aiken_is_imported_by_its_format(command: Callable[..., Result], work: UnitOfWork, tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("Is it wet?\nA. Yes\nB. No\nANSWER: A\n")
    assert counts(command("--format", "aiken", "--category", "Water", path), "mine.txt") == [1, 1, 0, 0, 0]
    assert [(item.choices, item.category) for item in bank(work)] == [(("Yes", "No"), "Water")]


def test_standard_input_is_a_file_too(command: Callable[..., Result], work: UnitOfWork) -> None:
    result = command("--format", "opentriviaqa", "-", input=LAKES)
    assert result.exit_code == 0
    assert [(item.stem, item.category) for item in bank(work)] == [("Which lake is “deep”?", None)]


def test_a_format_that_cannot_be_guessed_is_asked_for(
    command: Callable[..., Result], work: UnitOfWork, rivers: Path
) -> None:
    result = command(rivers)
    assert result.exit_code == 2
    assert "--format opentriviaqa" in result.stderr


@pytest.mark.parametrize("name", ["missing", "folder", "other"])
def test_a_file_that_cannot_be_read_is_one_error_and_the_others_go_on(
    command: Callable[..., Result], work: UnitOfWork, rivers: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "other").write_bytes(b"\x89PNG\r\n\x1a\n")
    result = command("--format", "opentriviaqa", tmp_path / name, rivers)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {tmp_path / name} could not be imported: ")
    assert len(result.stderr.splitlines()) == 2
    assert len(bank(work)) == 1


def test_the_command_is_told_of_in_the_help(command: Callable[..., Result]) -> None:
    assert {"--format", "--category", "--dry-run"} <= set(re.findall(r"--[a-z-]+", command("--help").output))


def test_an_import_waits_while_an_operator_has_paused_its_lane(
    prepared_schema: Callable[[str, str], str], tmp_path: Path
) -> None:
    folder, rivers = tmp_path / "instance", tmp_path / "rivers"
    rivers.write_bytes(RIVERS)
    with run_poolproof_service(prepared_schema("sqlite", "paused"), folder, POOLPROOF_WORKERS="1") as service:
        fleet = folder / "fleet" / socket.gethostname()
        commands = CommandQueue(fleet)
        master = process_identity(service.process.pid)
        commands.set_overrides(master, paused=["background"])
        command = [sys.executable, "-m", "webapp", "items", "import", "--format", "opentriviaqa", str(rivers)]
        importing = subprocess.Popen(command, cwd=PROJECT, env=service.environment, stdout=subprocess.DEVNULL)
        wait_until(lambda: waiting_imports(fleet) == 1)
        commands.set_overrides(master, paused=[])
        assert importing.wait(60) == 0


def waiting_imports(fleet: Path) -> int:
    """Return how many imports of the fleet wait for a connection of their lane."""
    imports = [
        member.status.get("lanes", {})
        for member in FleetDirectory(fleet).snapshot().members
        if member.identity["name"] == "import"
    ]
    return sum(lanes["background"]["waiting"] for lanes in imports if lanes)


def test_an_import_tells_its_number_by_which_it_is_undone(
    app: Flask, command: Callable[..., Result], work: UnitOfWork, rivers: Path, lakes: Path
) -> None:
    other = command("--format", "opentriviaqa", lakes)
    result = command("--format", "opentriviaqa", rivers)
    number = match_in(r"poolproof items undo (\d+)", result.stdout)[1]
    assert f"{rivers}: import {number};" in result.stdout
    undone = app.test_cli_runner().invoke(create_cli(lambda: app), ["items", "undo", number])
    assert (other.exit_code, undone.exit_code) == (0, 0)
    assert undone.stdout == "1 items removed, 0 restored.\n"
    assert [item.category for item in bank(work)] == ["Lakes"]


def test_a_dry_run_has_nothing_to_undo(command: Callable[..., Result], rivers: Path) -> None:
    assert "items undo" not in command("--format", "opentriviaqa", "--dry-run", rivers).stdout


@pytest.fixture
def export(app: Flask) -> Callable[..., Result]:
    """Run `poolproof items export` with these arguments."""
    return lambda *arguments: app.test_cli_runner().invoke(
        create_cli(lambda: app), ["items", "export", *map(str, arguments)]
    )


@pytest.mark.parametrize("file_format", ["json", "gift", "aiken", "moodle-xml", "csv"])
def test_what_was_exported_is_known_when_it_is_imported_again(
    command: Callable[..., Result], export: Callable[..., Result], rivers: Path, tmp_path: Path, file_format: str
) -> None:
    assert command("--format", "opentriviaqa", rivers).exit_code == 0
    file = tmp_path / "out"
    done = export("--format", file_format, file)
    assert done.exit_code == 0, done.output
    assert "1 items written." in done.stderr
    assert re.search(r"out +1 +0 +1 +0 +0$", command("--format", file_format, file).output, re.MULTILINE)


def test_an_export_may_be_of_one_category_and_go_to_standard_output(
    command: Callable[..., Result], export: Callable[..., Result], rivers: Path, lakes: Path
) -> None:
    command("--format", "opentriviaqa", rivers, lakes)
    done = export("--category", "Lakes")
    assert [item["stem"] for item in json.loads(done.stdout)["items"]] == ["Which lake is “deep”?"]


def test_an_item_that_a_format_cannot_hold_is_named_and_the_others_are_written(
    command: Callable[..., Result], export: Callable[..., Result], rivers: Path, tmp_path: Path
) -> None:
    several = tmp_path / "several.json"
    item = {"kind": "multiple", "stem": "Which two?", "choices": ["A", "B", "C"], "right": [0, 1]}
    several.write_text(json.dumps({"format": "poolproof items", "version": 1, "items": [item]}))
    command("--format", "opentriviaqa", rivers)
    command(several)
    done = export("--format", "aiken")
    assert done.exit_code == 0
    assert re.search(r"^item \d+: .+", done.stderr, re.MULTILINE)
    assert "1 items written, 1 refused." in done.stderr
    assert "Which river is the longest?" in done.stdout
