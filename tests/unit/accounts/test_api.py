from __future__ import annotations

from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.narrowing import not_none
from webapp.accounts import users
from webapp.accounts.tokens import issue

BANK = "/api/v1/items"


def test_a_good_password_gives_a_token_that_opens_the_bank(client: FlaskClient, author: dict[str, str]) -> None:
    assert client.get(BANK, headers=author).status_code == 200


def test_a_wrong_password_and_a_wrong_name_are_told_alike(client: FlaskClient, author: dict[str, str]) -> None:
    wrong = client.post("/api/v1/tokens", json={"name": "ada", "password": "not this one"})
    unknown = client.post("/api/v1/tokens", json={"name": "bob", "password": "not this one"})
    assert (wrong.status_code, wrong.get_json()["detail"]) == (unknown.status_code, unknown.get_json()["detail"])
    assert wrong.status_code == 401
    assert wrong.headers["WWW-Authenticate"] == "Bearer"


def test_no_token_and_a_forged_token_are_refused(client: FlaskClient, author: dict[str, str], work: UnitOfWork) -> None:
    with work.read() as connection:
        ada = not_none(users.find_credentials(connection, "ada")).user
    forged = {"Authorization": f"Bearer {issue(ada, 'another key, of somebody else')}"}
    assert client.get(BANK).status_code == 401
    assert client.get(BANK, headers=forged).status_code == 401


def test_a_token_ends_with_the_password(client: FlaskClient, author: dict[str, str], work: UnitOfWork) -> None:
    work.run_in_transaction(lambda connection: users.change_password(connection, "ada", "another hash"))
    assert client.get(BANK, headers=author).status_code == 401


def test_a_token_ends_with_the_user(client: FlaskClient, author: dict[str, str], work: UnitOfWork) -> None:
    work.run_in_transaction(lambda connection: users.remove(connection, "ada"))
    assert client.get(BANK, headers=author).status_code == 401


def test_a_token_ends_with_its_time(client: FlaskClient, author: dict[str, str]) -> None:
    client.application.config["API_TOKEN_TTL"], before = -1, client.application.config["API_TOKEN_TTL"]
    try:
        assert client.get(BANK, headers=author).status_code == 401
    finally:
        client.application.config["API_TOKEN_TTL"] = before
