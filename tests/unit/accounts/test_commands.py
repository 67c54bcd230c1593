from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

from tests.support.accounts import PASSWORD
from tests.support.narrowing import match_in
from webapp.cli import create_cli


def test_an_added_user_can_sign_in_with_the_password_that_was_printed(app: Flask, client: FlaskClient) -> None:
    output = app.test_cli_runner().invoke(create_cli(lambda: app), ["user", "add", "ada"]).output
    password = match_in(r"Password: (\S+)", output)[1]
    assert client.post("/api/v1/tokens", json={"name": "ada", "password": password}).status_code == 201


def test_a_password_from_standard_input_is_not_printed(app: Flask, client: FlaskClient) -> None:
    arguments = ["user", "add", "ada", "--role", "operator", "--password-stdin"]
    output = app.test_cli_runner().invoke(create_cli(lambda: app), arguments, input="a given password\n").output
    assert "a given password" not in output
    token = client.post("/api/v1/tokens", json={"name": "ada", "password": "a given password"})
    assert token.get_json()["role"] == "operator"


def test_users_are_listed_and_removed(app: Flask) -> None:
    runner = app.test_cli_runner()
    runner.invoke(create_cli(lambda: app), ["user", "add", "ada"])
    assert "ada\tauthor" in runner.invoke(create_cli(lambda: app), ["user", "list"]).output
    runner.invoke(create_cli(lambda: app), ["user", "remove", "ada"])
    assert runner.invoke(create_cli(lambda: app), ["user", "list"]).output == ""


def test_a_new_password_replaces_the_old_one(app: Flask, client: FlaskClient) -> None:
    runner = app.test_cli_runner()
    runner.invoke(create_cli(lambda: app), ["user", "add", "ada"])
    arguments = ["user", "set-password", "ada", "--password-stdin"]
    assert runner.invoke(create_cli(lambda: app), arguments, input="another password\n").exit_code == 0
    token = client.post("/api/v1/tokens", json={"name": "ada", "password": "another password"})
    assert token.status_code == 201


def test_an_operator_ends_what_a_user_has_open(app: Flask, client: FlaskClient, author: dict[str, str]) -> None:
    runner = app.test_cli_runner()
    client.post("/sign-in", data={"name": "ada", "password": PASSWORD})
    assert "last sign-in 20" in runner.invoke(create_cli(lambda: app), ["user", "list"]).output
    assert "Ended 1 sessions" in runner.invoke(create_cli(lambda: app), ["user", "sign-out", "ada"]).output
    assert client.get("/studio").status_code == 302
    assert client.get("/api/v1/items", headers=author).status_code == 401


def test_a_user_is_disabled_and_enabled(app: Flask, client: FlaskClient, author: dict[str, str]) -> None:
    runner = app.test_cli_runner()
    runner.invoke(create_cli(lambda: app), ["user", "disable", "ada"])
    assert "disabled" in runner.invoke(create_cli(lambda: app), ["user", "list"]).output
    assert client.get("/api/v1/items", headers=author).status_code == 401
    credentials = {"name": "ada", "password": PASSWORD}
    assert client.post("/api/v1/tokens", json=credentials).status_code == 403
    runner.invoke(create_cli(lambda: app), ["user", "enable", "ada"])
    assert client.post("/api/v1/tokens", json=credentials).status_code == 201
