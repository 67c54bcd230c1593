from __future__ import annotations

from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.lab.factories import make_draft, make_quiz


def test_an_author_reads_totals_and_how_each_question_was_answered(
    client: FlaskClient, author: dict[str, str], work: UnitOfWork
) -> None:
    quiz = make_quiz(work)
    first, second = quiz.document.questions
    for finishes in (True, False):
        attempt = client.post(f"/api/v1/quizzes/{quiz.quiz_id}/attempts", json={}).headers["Location"]
        client.put(f"{attempt}/answers/{first.item_id}", json={"choices": list(first.right)})
        if finishes:
            client.post(f"{attempt}/finish")
    results = client.get(f"/api/v1/quizzes/{quiz.quiz_id}/results", headers=author).get_json()
    assert (results["begun"], results["finished"], results["mean_score"]) == (2, 1, 1.0)
    assert [(question["item"], question["answered"], question["right"]) for question in results["questions"]] == [
        (first.item_id, 1, 1),
        (second.item_id, 0, 0),
    ]


def test_a_quiz_that_was_never_published_has_no_results(
    client: FlaskClient, author: dict[str, str], work: UnitOfWork
) -> None:
    assert client.get(f"/api/v1/quizzes/{make_draft(work).id}/results", headers=author).status_code == 404


def test_a_player_reads_no_results(client: FlaskClient, work: UnitOfWork) -> None:
    assert client.get(f"/api/v1/quizzes/{make_quiz(work).quiz_id}/results").status_code == 401
