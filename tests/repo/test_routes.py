"""Every route is either guarded or meant to be open to everybody, by name."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

OPEN_TO_EVERYBODY = {
    "account_pages.sign_in",
    "account_pages.sign_out",
    "api-docs.openapi_json",
    "attempt_pages.answer",
    "attempt_pages.attempt",
    "attempt_pages.leaderboard",
    "attempt_pages.quiz",
    "attempt_pages.start",
    "attempts.finish_attempt",
    "attempts.put_answer",
    "attempts.read_attempt",
    "attempts.read_leaderboard",
    "attempts.start_attempt",
    "docs.page",
    "docs.swagger_file",
    "health.healthz",
    "health.readyz",
    # On the operators' address only, as Prometheus has no account.
    "metrics.numbers",
    "problems.explained",
    "quiz_pages.open_quizzes",
    "quizzes.list_quizzes",
    "quizzes.read_quiz",
    "files.file",
    "static",
    "tokens.create_token",
}


def test_every_route_is_guarded_or_open_on_purpose(app: Flask) -> None:
    unguarded = {name for name, view in app.view_functions.items() if not hasattr(view, "required_permission")}
    assert unguarded == OPEN_TO_EVERYBODY


def test_every_guarded_route_turns_a_stranger_away(app: Flask, client: FlaskClient) -> None:
    for rule in app.url_map.iter_rules():
        if rule.endpoint in OPEN_TO_EVERYBODY:
            continue
        address = rule.rule
        for name in rule.arguments:
            start = address.index("<")
            assert name in address
            address = address[:start] + "1" + address[address.index(">") + 1 :]
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            status = client.open(address, method=method).status_code
            assert status == (401 if address.startswith("/api/") else 302), (method, address)


@pytest.mark.parametrize("address", ["/studio", "/api/v1/items"])
def test_the_list_above_is_not_all_there_is(client: FlaskClient, address: str) -> None:
    assert client.get(address).status_code in {302, 401}
