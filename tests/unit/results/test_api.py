from __future__ import annotations

from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.unit.results.answered_quizzes import draw_answers, store_attempts
from webapp.lab.factories import make_draft, make_quiz
from webapp.quizzes import publishing


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
        (first.item_id, 2, 2),
        (second.item_id, 0, 0),
    ]


def test_a_quiz_that_was_never_published_has_no_results(
    client: FlaskClient, author: dict[str, str], work: UnitOfWork
) -> None:
    assert client.get(f"/api/v1/quizzes/{make_draft(work).id}/results", headers=author).status_code == 404


def test_a_player_reads_no_results(client: FlaskClient, work: UnitOfWork) -> None:
    assert client.get(f"/api/v1/quizzes/{make_quiz(work).quiz_id}/results").status_code == 401


def test_results_that_are_the_same_are_not_sent_again(
    client: FlaskClient, author: dict[str, str], work: UnitOfWork
) -> None:
    quiz = make_quiz(work)
    address = f"/api/v1/quizzes/{quiz.quiz_id}/results"
    tag = client.get(address, headers=author).headers["ETag"]
    assert client.get(address, headers=author | {"If-None-Match": tag}).status_code == 304
    store_attempts(work, quiz, draw_answers(quiz, players=1))
    assert client.get(address, headers=author | {"If-None-Match": tag}).status_code == 200


def test_players_come_page_by_page_the_best_first_and_who_is_playing_last(
    client: FlaskClient, author: dict[str, str], work: UnitOfWork
) -> None:
    quiz = make_quiz(work, questions=3)
    store_attempts(work, quiz, draw_answers(quiz, players=11))
    for name in ("playing", "playing too"):
        started = client.post(f"/api/v1/quizzes/{quiz.quiz_id}/attempts", json={"name": name})
        first = quiz.document.questions[0]
        client.put(f"{started.headers['Location']}/answers/{first.item_id}", json={"choices": list(first.right)})
    players, address = [], f"/api/v1/quizzes/{quiz.quiz_id}/results/players?limit=4"
    while address:
        response = client.get(address, headers=author)
        players += response.get_json()["players"]
        address = response.headers.get("Link", "<>").partition(">")[0][1:]
    assert len({player["name"] for player in players}) == len(players) == 13
    scored = players[:11]
    assert scored == sorted(scored, key=lambda player: (-player["score"], player["milliseconds"]))
    assert [(player["score"], player["answers"][0]["mark"]) for player in players[11:]] == [(None, "right")] * 2
    assert client.get(f"/api/v1/quizzes/{quiz.quiz_id}/results/players?cursor=x", headers=author).status_code == 422


def test_of_several_attempts_one_counts_and_each_says_which_it_is(
    client: FlaskClient, author: dict[str, str], work: UnitOfWork
) -> None:
    quiz = make_quiz(work)
    work.run_in_transaction(lambda connection: publishing.change_rules(connection, quiz.quiz_id, {"max_attempts": 2}))
    first, player = quiz.document.questions[0], None
    for choice in (first.right[0], (first.right[0] + 1) % 3):
        started = client.post(f"/api/v1/quizzes/{quiz.quiz_id}/attempts", json={"player": player})
        player, attempt = started.get_json()["player"], started.headers["Location"]
        client.put(f"{attempt}/answers/{first.item_id}", json={"choices": [choice]})
        client.post(f"{attempt}/finish")
    players = client.get(f"/api/v1/quizzes/{quiz.quiz_id}/results/players", headers=author).get_json()["players"]
    assert [(each["number"], each["score"], each["counts"]) for each in players] == [(1, 1, True), (2, 0, False)]


def test_an_erased_attempt_is_in_no_result(client: FlaskClient, author: dict[str, str], work: UnitOfWork) -> None:
    quiz = make_quiz(work)
    first = quiz.document.questions[0]
    attempt = client.post(f"/api/v1/quizzes/{quiz.quiz_id}/attempts", json={}).headers["Location"]
    client.put(f"{attempt}/answers/{first.item_id}", json={"choices": list(first.right)})
    client.post(f"{attempt}/finish")
    client.delete(attempt)
    address = f"/api/v1/quizzes/{quiz.quiz_id}/results"
    results = client.get(address, headers=author).get_json()
    assert (results["begun"], results["finished"], results["questions"][0]["answered"]) == (0, 0, 0)
    assert client.get(f"{address}/players", headers=author).get_json()["players"] == []
    assert len(client.get(f"{address}/export", headers=author).data.splitlines()) == 1
