from __future__ import annotations

from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.lab.factories import make_draft, make_quiz


def test_an_author_reads_and_renews_the_join_code_over_rest(
    client: FlaskClient, work: UnitOfWork, author: dict[str, str]
) -> None:
    quiz = make_quiz(work)
    address = f"/api/v1/quizzes/{quiz.quiz_id}/join-code"
    first = client.get(address, headers=author).get_json()
    assert client.post("/join", data={"code": first["code"]}).location == f"/quizzes/{quiz.slug}"
    assert first["address"].endswith(f"/join/{first['code']}")
    second = client.post(address, headers=author).get_json()
    assert second["code"] != first["code"]
    assert client.get(address, headers=author).get_json() == second
    assert client.get(address).status_code == 401
    assert client.get(f"/api/v1/quizzes/{make_draft(work).id}/join-code", headers=author).status_code == 404
