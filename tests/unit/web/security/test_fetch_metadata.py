from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.lab.factories import make_quiz


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 302),
        ({"Sec-Fetch-Site": "same-origin"}, 302),
        ({"Sec-Fetch-Site": "none"}, 302),
        ({"Origin": "http://localhost"}, 302),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_only_our_own_pages_may_start_an_attempt(
    client: FlaskClient, work: UnitOfWork, headers: dict[str, str], status: int
) -> None:
    quiz = make_quiz(work)
    answer = client.post(f"/quizzes/{quiz.slug}/start", data={"name": "Ada"}, headers=headers)
    assert answer.status_code == status
    assert ("Set-Cookie" in answer.headers) is (status == 302)


def test_the_button_pressed_twice_shows_the_first_result(client: FlaskClient, work: UnitOfWork) -> None:
    quiz = make_quiz(work)
    attempt = client.post(f"/quizzes/{quiz.slug}/start", data={"name": "Ada"}).headers["Location"]
    form = {f"item-{quiz.document.questions[0].item_id}": "0", "action": "finish"}
    first, second = client.post(attempt, data=form), client.post(attempt, data=form)
    assert (first.status_code, second.status_code) == (302, 302)
    assert first.headers["Location"] == second.headers["Location"]
