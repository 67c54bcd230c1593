from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, create_engine, select

from poolproof.integrations.flask_ext import PoolingState
from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.accounts import PASSWORD, PASSWORD_HASH
from tests.support.narrowing import not_none
from webapp.accounts import users
from webapp.accounts.roles import Role
from webapp.console.models import ConsoleAction


@pytest.fixture
def operator(client: FlaskClient, work: UnitOfWork) -> FlaskClient:
    work.run_in_transaction(lambda connection: users.add(connection, "grace", PASSWORD_HASH, Role.OPERATOR))
    client.post("/sign-in", data={"name": "grace", "password": PASSWORD})
    return client


@pytest.fixture
def member(pooling: PoolingState) -> Iterator[str]:
    """This process as a member of its fleet."""
    agent = not_none(pooling.fleet_agent)
    agent.start("worker", 1)
    yield agent.key
    agent.stop()


def test_the_console_shows_the_fleet_and_its_json_says_the_same(operator: FlaskClient, member: str) -> None:
    page = operator.get("/console")
    assert page.status_code == 200
    assert "worker 1" in page.text
    assert "Connections: " in page.text
    data = operator.get("/console/data.json").get_json()
    assert [process["key"] for process in data["processes"]] == [member]
    assert data["diagnoses"][-1]["text"] in page.text


def test_a_part_of_the_page_is_only_that(operator: FlaskClient) -> None:
    part = operator.get("/console?part=live").text
    assert "<html" not in part
    assert 'id="diagnosis"' in part


def test_an_author_is_told_that_the_role_does_not_allow_it(client: FlaskClient, work: UnitOfWork) -> None:
    work.run_in_transaction(lambda connection: users.add(connection, "ada", PASSWORD_HASH, Role.AUTHOR))
    client.post("/sign-in", data={"name": "ada", "password": PASSWORD})
    assert client.get("/console").status_code == 403
    assert client.get("/console/actions/pause?lane=background").status_code == 403
    assert client.post("/console/actions/pause", data={"lane": "background"}).status_code == 403


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("/console/actions/resize?lane=interactive&size=0", "A lane has 1 to 1000 connections"),
        ("/console/actions/resize?lane=console&size=3", "one of: interactive, background"),
        ("/console/actions/resize?lane=interactive&size=many", "A lane has 1 to 1000 connections"),
        ("/console/actions/pause?lane=interactive", "Only the background lane can be paused"),
        ("/console/actions/drain?process=1-none", "That process has ended."),
        ("/console/actions/end?process=1-none&connection=4", "That process has ended."),
        ("/console/actions/explode", "There is no action called explode."),
    ],
)
def test_a_wish_that_cannot_be_is_refused_with_the_reason(operator: FlaskClient, address: str, reason: str) -> None:
    assert reason in operator.get(address, follow_redirects=True).text


def test_a_deed_is_on_the_record_with_who_did_it_and_what_came_of_it(
    operator: FlaskClient, member: str, work: UnitOfWork, pooling: PoolingState
) -> None:
    answer = operator.post("/console/actions/pause", data={"lane": "background"}, follow_redirects=True)
    assert "The background lane of each worker is paused." in answer.text
    operator.post("/console/actions/resume", data={"lane": "background"})
    with work.read() as connection:
        rows = connection.execute(
            select(ConsoleAction.operator, ConsoleAction.outcome).order_by(ConsoleAction.id)
        ).all()
    assert [tuple(row) for row in rows] == [
        ("grace", "The background lane of each worker is paused."),
        ("grace", "The background lane of each worker is resumed."),
    ]
    assert "is resumed" in operator.get("/console/audit").text


def test_a_console_that_only_shows_refuses_every_deed(app: Flask, operator: FlaskClient) -> None:
    service = app.extensions["console_service"]
    service.is_read_only = True
    try:
        answer = operator.post("/console/actions/pause", data={"lane": "background"}, follow_redirects=True)
        assert "This console is read-only" in answer.text
        assert "Resize" not in answer.text
    finally:
        service.is_read_only = False


def test_the_pools_over_rest_are_for_operators(client: FlaskClient, work: UnitOfWork, author: dict[str, str]) -> None:
    assert client.get("/api/v1/pools", headers=author).status_code == 403
    work.run_in_transaction(lambda connection: users.add(connection, "grace", PASSWORD_HASH, Role.OPERATOR))
    token = client.post("/api/v1/tokens", json={"name": "grace", "password": PASSWORD}).get_json()["token"]
    pools = client.get("/api/v1/pools", headers={"Authorization": f"Bearer {token}"}).get_json()
    assert pools.keys() == {"machine", "used", "open", "at_most", "processes"}


def test_numbers_come_in_the_format_that_is_asked_for(client: FlaskClient, member: str) -> None:
    plain = client.get("/metrics")
    assert plain.content_type.startswith("text/plain; version=0.0.4")
    assert "# TYPE poolproof_requests_total counter" in plain.text
    wanted = "application/openmetrics-text;version=1.0.0;q=0.9,text/plain;q=0.3"
    open_metrics = client.get("/metrics", headers={"Accept": wanted})
    assert open_metrics.content_type.startswith("application/openmetrics-text")
    assert "# TYPE poolproof_requests counter" in open_metrics.text
    assert open_metrics.text.endswith("# EOF\n")


def test_where_the_console_is_off_there_is_nothing(app: Flask, operator: FlaskClient) -> None:
    before = app.config["CONSOLE_LISTENER"]
    app.config["CONSOLE_LISTENER"] = None
    try:
        answers = [operator.get(path).status_code for path in ("/console", "/metrics", "/api/v1/pools")]
    finally:
        app.config["CONSOLE_LISTENER"] = before
    assert answers == [404, 404, 404]


def test_an_operator_who_is_known_may_look_while_the_database_is_away_for_a_day_at_most(
    app: Flask, operator: FlaskClient, pooling: PoolingState, monkeypatch: pytest.MonkeyPatch
) -> None:
    unavailable = replace(pooling, console=UnitOfWork(_nowhere()))
    app.extensions["pooling"] = unavailable
    try:
        assert operator.get("/console").status_code == 200
        with operator.session_transaction() as session:
            session["vouched"] = {**session["vouched"], "at": 0}
        assert operator.get("/console").status_code == 302
    finally:
        app.extensions["pooling"] = pooling


def _nowhere() -> Engine:
    return create_engine("sqlite:////nowhere/at/all.sqlite")
