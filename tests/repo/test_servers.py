"""The servers that the other tests stand on do what they say."""

from __future__ import annotations

from pathlib import Path

import pymysql
import pytest
import yaml

from tests.support import PROJECT
from webapp.lab.services.database_server import new_server
from webapp.lab.services.programs import Flavour, ServerError, get_program


def test_a_server_that_is_killed_keeps_what_was_committed_and_takes_new_options(
    server_flavour: Flavour, tmp_path: Path
) -> None:
    server = new_server(server_flavour, tmp_path / "server")
    try:
        server.create_database("kept")
        server.execute("CREATE TABLE numbers (number INT)", database="kept")
        server.execute("INSERT INTO numbers VALUES (%s)", (42,), database="kept")
        server.kill()
        with pytest.raises(pymysql.err.OperationalError):
            server.execute("SELECT 1")
        server.start("--wait-timeout=7")
        assert server.execute("SELECT number FROM numbers", database="kept") == [(42,)]
        assert server.execute("SELECT @@wait_timeout") == [(7,)]
    finally:
        server.stop()


def test_a_server_that_cannot_start_says_what_its_log_says(server_flavour: Flavour, tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="no-such-option"):
        new_server(server_flavour, tmp_path / "server", "--no-such-option")


def test_compose_starts_the_line_of_mysql_that_the_tests_run_on() -> None:
    compose = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
    product, _, version = compose["services"]["database"]["image"].partition(":")
    started, tested = (tuple(map(int, text.split("."))) for text in (version, get_program("mysql").version))
    assert product == "mysql"
    # The tests may be a minor version ahead for a while, never behind.
    assert started[0] == tested[0]
    assert started <= tested
