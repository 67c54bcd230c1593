"""`flask pool`: what the processes of an application publish, on its command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import Engine

from tests.support.waiting import wait_until
from tests.unit.poolproof.integrations.site import site


@pytest.fixture
def made(tmp_path: Path) -> Iterator[tuple[Flask, dict[str, Engine]]]:
    with site(tmp_path, testing=False) as made:
        yield made


def run(app: Flask, *arguments: str) -> tuple[int, str]:
    done = FlaskCliRunner(app).invoke(args=["pool", *arguments])
    return done.exit_code, done.output


def test_without_a_process_it_says_how_to_get_one(made: tuple[Flask, dict[str, Engine]], tmp_path: Path) -> None:
    for command in ("status", "checkouts"):
        code, output = run(made[0], command)
        assert code == 1
        assert f"{tmp_path}/instance/poolproof/" in output
        assert "send it one request" in output


def test_the_pools_of_a_process_are_shown_with_who_holds_their_connections(
    made: tuple[Flask, dict[str, Engine]],
) -> None:
    app, engines = made
    assert app.test_client().get("/").text == "1"
    with engines["books"].connect():
        wait_until(lambda: "1 of 1 in use" in run(app, "status")[1])
        wait_until(lambda: "borrowed at" in run(app, "checkouts")[1])
        assert "integrations/test_flask_cli.py:" in run(app, "checkouts")[1]
    wait_until(lambda: "No connection is held" in run(app, "checkouts")[1])


def test_the_doctor_fails_only_for_what_is_wrong(made: tuple[Flask, dict[str, Engine]]) -> None:
    code, output = run(made[0], "doctor")
    assert code == 0
    assert "books: A fair pool of 1 connections and 0 more" in output
