from __future__ import annotations

from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.sessions import sign_in
from webapp.lab.factories import make_quiz


def test_the_results_are_shown_to_authors_only(client: FlaskClient, author: dict[str, str], work: UnitOfWork) -> None:
    address = f"/studio/quizzes/{make_quiz(work).quiz_id}/results"
    assert client.get(address).location.startswith("/sign-in")
    sign_in(client, work, "ada")
    assert "no one has answered it yet" in client.get(address).text
