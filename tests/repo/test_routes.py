"""Every route is either guarded or meant to be open to everybody, by name."""

from __future__ import annotations

import inspect
import sys
from typing import Any

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
    "root.read_root",
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


def names_used(function: Any, module_functions: dict[str, Any]) -> set[str]:
    """Return the names that a function uses, and those that functions of its own module use for it."""
    names, open_functions = set[str](), [function]
    while open_functions:
        code = open_functions.pop().__code__
        codes = [code, *(each for each in code.co_consts if hasattr(each, "co_names"))]
        new = {name for each in codes for name in each.co_names} - names
        names |= new
        open_functions += [module_functions[name] for name in new if name in module_functions]
    return names


def test_every_view_that_uses_the_background_lane_declares_that_it_takes_long(app: Flask) -> None:
    users, declared = set(), set()
    for name, view in app.view_functions.items():
        plain = inspect.unwrap(getattr(view, "view_class", view))
        if not inspect.isfunction(plain):
            continue
        module = sys.modules[plain.__module__]
        functions = {key: value for key, value in vars(module).items() if inspect.isfunction(value)}
        if "background" in names_used(plain, functions):
            users.add(name)
        if hasattr(view, "takes_long"):
            declared.add(name)
    assert users == declared
    assert len(users) == 8
