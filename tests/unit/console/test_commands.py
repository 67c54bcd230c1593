from __future__ import annotations

import json
import resource
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import create_engine, make_url, text

from poolproof.capacity.budget import FleetSize, Level
from poolproof.capacity.server_info import read_server_info
from poolproof.integrations.flask_ext import PoolingState
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.cli import create_cli
from webapp.console.findings import check_open_files


def findings(app: Flask) -> dict[str, dict[str, str]]:
    output = app.test_cli_runner().invoke(create_cli(lambda: app), ["doctor", "--json"]).output
    return {finding["check"]: finding for finding in json.loads(output)}


def test_the_doctor_knows_the_server_it_looks_at(app: Flask, database: str) -> None:
    by_check = findings(app)
    assert database in by_check["server"]["sentence"].lower()
    if database != "sqlite":
        assert by_check["max_connections"]["level"] == "ok"
        # The tests' own account is root's.
        assert by_check["privileges"]["level"] == "warn"


def test_the_doctor_says_how_many_clients_fit_in_the_limit_of_open_files(app: Flask) -> None:
    found = findings(app)["open files"]
    assert f"{resource.getrlimit(resource.RLIMIT_NOFILE)[1]:,} files" in found["sentence"]


@pytest.mark.parametrize(("files", "level"), [(1024, Level.WARN), (4096, Level.OK), (1_000_000, Level.OK)])
def test_a_limit_that_is_too_low_for_a_push_is_a_warning_with_a_remedy(files: int, level: Level) -> None:
    finding = check_open_files(files)
    assert finding.level is level
    assert ("LimitNOFILE" in finding.remedy) is (level is Level.WARN)


def test_the_doctor_fails_when_the_fleet_does_not_fit(app: Flask, database: str) -> None:
    if database == "sqlite":
        pytest.skip("SQLite has no limit of connections")
    pooling: PoolingState = app.extensions["pooling"]
    app.extensions["pooling"] = replace(pooling, fleet=FleetSize(40, 40))
    try:
        result = app.test_cli_runner().invoke(create_cli(lambda: app), ["doctor"])
    finally:
        app.extensions["pooling"] = pooling
    assert result.exit_code == 1
    assert "FAIL  max_connections" in result.output
    assert "→ Raise max_connections" in result.output


def test_a_limit_of_the_account_and_its_lack_of_privileges_are_seen(
    app: Flask, work: UnitOfWork, database: str
) -> None:
    if database == "sqlite":
        pytest.skip("SQLite has no accounts")
    url = work.engine.url
    with work.transaction() as connection:
        connection.execute(text("DROP USER IF EXISTS limited@'%'"))
        connection.execute(text("CREATE USER limited@'%' IDENTIFIED BY 'a secret' WITH MAX_USER_CONNECTIONS 5"))
        connection.execute(text(f"GRANT ALL ON `{url.database}`.* TO limited@'%'"))
    limited = make_url(url).set(username="limited", password="a secret").render_as_string(hide_password=False)
    try:
        engine = create_engine(limited)
        with engine.connect() as connection:
            facts = read_server_info(connection)
        engine.dispose()
    finally:
        with work.transaction() as connection:
            connection.execute(text("DROP USER limited@'%'"))
    assert (facts.max_user_connections, facts.is_administrator) == (5, False)
    # The connections of other accounts are foreign; this account's own is not.
    assert facts.foreign_connections >= 1
