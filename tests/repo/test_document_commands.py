"""Every command that README.md and docs/deployment.md show runs as it is written, or the document says why not."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2
import pytest

from tests.support.databases import Databases
from tests.support.document_commands import Copy, commands
from webapp.lab.services.database_server import DatabaseServer
from webapp.settings import PROJECT_ROOT

PAGES = ("README.md", "docs/deployment.md")
ALL = [command for page in PAGES for command in commands(page)]
SERVE = {
    "make run",
    "DATABASE_URL='mysql://poolproof:password@127.0.0.1/poolproof' make run",
    "DATABASE_URL='mysql://poolproof:a%20long%20password@db.example/poolproof' make run",
    "gunicorn --config gunicorn.conf.py wsgi:app",
}
END = {
    "poolproof db upgrade",
    ".venv/run/bin/poolproof items import --format opentriviaqa animals history",
    ".venv/run/bin/poolproof doctor",
    ".venv/run/bin/poolproof lab push --users 2000 --ramp 1",
}
"""What the tests below run: what serves until it is stopped, and what ends."""
QUESTIONS = "#Q Which of these {animal} cannot fly?\n^ Kiwi\nA Swift\nB Kiwi\n\n"


def test_every_command_is_run_or_the_document_says_why_not() -> None:
    assert {command.text for command in ALL if not command.is_marked} == SERVE | END


def test_a_mark_stands_before_what_it_marks_and_has_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "```console\n$ a\n```\n<!-- not run: why -->\n```console\n$ b  # x\n$ c\nout\n```\n<!-- not run `d`: why -->\n"
    )
    (tmp_path / "page.md").write_text(f"{text}```console\n$ d\n$ e\n```\n<!-- not run: -->\n```console\n$ f\n```\n")
    monkeypatch.setattr("tests.support.document_commands.PROJECT_ROOT", tmp_path)
    marks = {command.text: command.is_marked for command in commands("page.md")}
    assert marks == {"a": False, "b": True, "c": True, "d": True, "e": False, "f": False}


def write_questions(copy: Copy) -> None:
    """Write the two files of questions that README.md imports."""
    for name in ("animals", "history"):
        (copy.folder / name).write_text(QUESTIONS.format(animal=name))


def must_serve(copy: Copy, command: str) -> None:
    with copy.run_server(command):
        assert "Poolproof" in httpx2.get(f"http://127.0.0.1:{copy.port}/", trust_env=False).text


@pytest.mark.slow(reason="three commands and a service, each from the start of Python on")
def test_what_needs_no_environment_of_its_own_runs_as_it_is_written(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    copy.give_programs()
    copy.run("poolproof db upgrade")
    must_serve(copy, "gunicorn --config gunicorn.conf.py wsgi:app")
    write_questions(copy)
    output = copy.run(".venv/run/bin/poolproof items import --format opentriviaqa animals history")
    assert "`poolproof items undo 1` undoes it." in output
    assert re.search(r"^total +2 +2 +0 +0 +0$", output, re.MULTILINE)
    assert copy.run(".venv/run/bin/poolproof doctor").startswith("ok ")


@pytest.mark.soak
def test_a_copy_of_the_project_serves_by_make_run_and_is_used_as_readme_says(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    with copy.run_server("make run") as log:
        assert re.search(r"password +\S+", log.read_text())
        write_questions(copy)
        for command in (one.text for one in ALL if one.page == "README.md" and one.text in END):
            # A service of somebody else's may be at its own port.
            at_this = f" --url http://127.0.0.1:{copy.port}" if "lab push" in command else ""
            copy.run(command + at_this)


@pytest.mark.soak
def test_the_account_of_the_document_is_enough_to_serve_on_a_server(
    databases: Databases, server_flavour: str, tmp_path: Path
) -> None:
    server: DatabaseServer = databases.breakable(server_flavour)
    page = (PROJECT_ROOT / "docs" / "deployment.md").read_text()
    statements = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)[0]
    server.execute("DROP DATABASE IF EXISTS poolproof")
    for statement in statements.split(";\n"):
        if statement.strip():
            server.execute(statement)
    copy = Copy(tmp_path)
    for command in (one.text for one in ALL if one.text.startswith("DATABASE_URL=")):
        password = "password" if ":password@" in command else "a long password"
        server.execute(f"ALTER USER poolproof@'%' IDENTIFIED BY '{password}'")
        # The server of this run is neither at MySQL's own port nor on another machine.
        must_serve(copy, re.sub(r"@[\w.]+/", f"@127.0.0.1:{server.port}/", command))
