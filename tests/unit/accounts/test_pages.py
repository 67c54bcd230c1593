from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.accounts import PASSWORD
from tests.support.narrowing import match_in
from webapp.accounts import authentication, users
from webapp.accounts.throttle import FREE_FAILURES, ThrottledKeys


def sign_in(client: FlaskClient, password: str = PASSWORD, address: str = "/sign-in") -> int:
    return client.post(address, data={"name": "ada", "password": password}).status_code


def test_the_studio_sends_a_stranger_to_sign_in_and_then_on(client: FlaskClient, author: dict[str, str]) -> None:
    redirect = client.get("/studio/quizzes/new")
    assert redirect.status_code == 302
    answer = client.post(redirect.location, data={"name": "ada", "password": PASSWORD})
    assert answer.location == "/studio/quizzes/new"


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/studio%0d%0aX:y",
        "/studio%00",
    ],
)
def test_a_link_cannot_send_anybody_elsewhere(client: FlaskClient, author: dict[str, str], elsewhere: str) -> None:
    answer = client.post(f"/sign-in?next={elsewhere}", data={"name": "ada", "password": PASSWORD})
    assert answer.location == "/studio"


def test_a_wrong_password_is_told_and_opens_nothing(client: FlaskClient, author: dict[str, str]) -> None:
    assert sign_in(client, "not this one") == 401
    assert client.get("/studio").status_code == 302


def test_signing_out_ends_the_session(client: FlaskClient, author: dict[str, str]) -> None:
    sign_in(client)
    assert client.get("/studio").status_code == 200
    client.post("/sign-out")
    assert client.get("/studio").status_code == 302


def test_guessing_slows_the_guesser_and_not_the_owner_on_a_device_that_is_known(
    app: Flask, client: FlaskClient, author: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "_throttled", ThrottledKeys())
    sign_in(client)
    client.post("/sign-out")
    guesser = app.test_client()
    statuses = [sign_in(guesser, f"guess {number}") for number in range(FREE_FAILURES + 2)]
    assert statuses == [401] * FREE_FAILURES + [429] * 2
    refusal = guesser.post("/sign-in", data={"name": "ada", "password": PASSWORD})
    assert (refusal.status_code, int(refusal.headers["Retry-After"]) > 0) == (429, True)
    assert sign_in(client) == 302


def test_a_copy_of_the_cookie_opens_nothing_after_signing_out(
    app: Flask, client: FlaskClient, author: dict[str, str]
) -> None:
    sign_in(client)
    cookie = client.get_cookie("session")
    assert cookie is not None
    client.post("/sign-out")
    thief = app.test_client()
    thief.set_cookie("session", cookie.value)
    assert thief.get("/studio").status_code == 302


def test_a_disabled_user_is_told_so_with_the_right_password_only(
    client: FlaskClient, author: dict[str, str], work: UnitOfWork
) -> None:
    work.run_in_transaction(lambda connection: users.disable(connection, "ada"))
    assert sign_in(client, "not this one") == 401
    assert sign_in(client) == 403
    assert client.get("/studio").status_code == 302


def test_a_session_ends_with_the_password(client: FlaskClient, author: dict[str, str], work: UnitOfWork) -> None:
    sign_in(client)
    work.run_in_transaction(lambda connection: users.change_password(connection, "ada", "another hash"))
    assert client.get("/studio").status_code == 302


def test_a_form_without_its_secret_is_refused(app: Flask, author: dict[str, str]) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    try:
        client = app.test_client()
        assert sign_in(client) == 400
        secret = match_in(r'name="csrf_token" value="([^"]+)"', client.get("/sign-in").text)[1]
        data = {"name": "ada", "password": PASSWORD, "csrf_token": secret}
        assert client.post("/sign-in", data=data).status_code == 302
    finally:
        app.config["WTF_CSRF_ENABLED"] = False
