"""Forms and addresses of pages with values that no form of ours has: none is an error of the service."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from wtforms.fields.core import UnboundField

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support import PROJECT
from tests.support.accounts import PASSWORD_HASH
from tests.support.sessions import sign_in
from webapp.accounts import users
from webapp.accounts.roles import Role
from webapp.lab.factories import make_draft, make_quiz

# Of the templates' own fields, and of the forms'; and those that only addresses or scripts have.
TEMPLATES = (PROJECT / "webapp" / "templates").rglob("*.html")
IN_TEMPLATES = {
    name for path in TEMPLATES for name in re.findall(r'name="([a-z_-]+)"', path.read_text(encoding="utf-8"))
}
IN_ADDRESSES = {"after", "choice", "cursor", "draw", "file", "format", "limit", "next", "page", "part", "q1", "remove"}
ACTS = {"action", "position", "move", "state", "reason"}
VALUES = (
    *(
        "",
        " ",
        "\x00",
        "\x85",
        "\u200b",
        "-1",
        "9" * 18,
        "9" * 5000,
        "1e999",
        "NaN",
        "\u0663",
        "%",
        "../..",
        "[" * 2000,
    ),
    *("0001-01-01T00:00", "9999-12-31T23:59", "9999-12-31T23:59:60", "1000-01-01T00:00"),
    *("x" * 20_000, "\U0001f642" * 300, "'\"<>&;--"),
)


def field_names() -> list[str]:
    """Return the names of all fields: also of those that a form's class has."""
    attributes = [(name, value) for form in FlaskForm.__subclasses__() for name, value in inspect.getmembers(form)]
    forms = {name for name, value in attributes if isinstance(value, UnboundField)}
    return sorted(IN_TEMPLATES | IN_ADDRESSES | ACTS | forms)


@pytest.fixture
def operator(app: Flask, work: UnitOfWork, client: FlaskClient) -> FlaskClient:
    """A browser of an operator, who may do everything."""
    work.run_in_transaction(lambda connection: users.add(connection, "grace", PASSWORD_HASH, Role.OPERATOR))
    sign_in(client, work, "grace")
    return client


def addresses(app: Flask, method: str, identifiers: dict[str, str]) -> Iterator[str]:
    """Yield an address of each page."""
    for rule in app.url_map.iter_rules():
        if method in (rule.methods or ()) and not rule.rule.startswith("/api/") and rule.endpoint != "static":
            with app.test_request_context():
                yield rule.build({name: identifiers.get(name, "1") for name in rule.arguments}, append_unknown=False)[1]  # type: ignore[index]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_a_form_with_any_value_is_answered(
    app: Flask, operator: FlaskClient, work: UnitOfWork, method: str, value: str
) -> None:
    make_draft(work)
    quiz = make_quiz(work)
    attempt = operator.post(f"/api/v1/quizzes/{quiz.quiz_id}/attempts", json={}).get_json()["token"]
    identifiers = {"slug": quiz.slug, "token": attempt, "quiz_id": str(quiz.quiz_id), "source": "draft"}
    fields = MultiDict([(name, value) for name in field_names()])
    for address in sorted(addresses(app, method, identifiers)):
        if address == "/sign-out":
            continue
        response = (
            operator.get(address, query_string=fields) if method == "GET" else operator.post(address, data=fields)
        )
        assert response.status_code < 500, (method, address, response.text[:500])
        response.close()
