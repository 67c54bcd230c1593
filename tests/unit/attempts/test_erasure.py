from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts import erasure, tokens
from webapp.attempts.answer_store import load_state
from webapp.attempts.answer_writer import AnswerWriter
from webapp.attempts.tokens import AttemptClaim
from webapp.errors import AttemptErasedError
from webapp.lab.factories import make_quiz
from webapp.quizzes.published import PublishedVersion


def new_claim(quiz: PublishedVersion) -> AttemptClaim:
    return tokens.new_claim(quiz.version_id, tokens.new_player_id(), "Grace", quiz.now)


def erase(work: UnitOfWork, claim: AttemptClaim) -> None:
    work.run_in_transaction(lambda connection: erasure.erase(connection, claim), idempotent=True)


def save(writer: AnswerWriter, claim: AttemptClaim, quiz: PublishedVersion) -> None:
    writer.save(claim, quiz, {quiz.document.questions[0].item_id: 1})


def finish(writer: AnswerWriter, claim: AttemptClaim, quiz: PublishedVersion) -> None:
    writer.finish(claim, quiz.document)


@pytest.fixture
def writer(work: UnitOfWork) -> Iterator[AnswerWriter]:
    writer = AnswerWriter(work, 30.0)
    yield writer
    writer.group_commit.stop()


def test_nothing_is_left_of_an_attempt_that_was_erased(work: UnitOfWork, writer: AnswerWriter) -> None:
    quiz = make_quiz(work)
    claim = new_claim(quiz)
    save(writer, claim, quiz)
    writer.finish(claim, quiz.document)
    for _ in range(2):
        erase(work, claim)
    with work.read() as connection:
        state = load_state(connection, claim)
        assert (state.is_erased, state.answers, state.score, state.milliseconds) == (True, {}, None, None)
        with pytest.raises(AttemptErasedError):
            erasure.load_data(connection, claim.attempt_id)


def test_neither_an_answer_nor_a_finish_brings_an_erased_attempt_back(work: UnitOfWork, writer: AnswerWriter) -> None:
    quiz = make_quiz(work)
    stored, never_stored = new_claim(quiz), new_claim(quiz)
    save(writer, stored, quiz)
    for claim in (stored, never_stored):
        erase(work, claim)
        for use in (save, finish):
            with pytest.raises(AttemptErasedError):
                use(writer, claim, quiz)
        with work.read() as connection:
            assert load_state(connection, claim).answers == {}


def test_of_answers_that_race_with_the_erasure_none_is_stored_and_the_others_are_told(
    work: UnitOfWork, writer: AnswerWriter
) -> None:
    quiz = make_quiz(work)
    claims = [new_claim(quiz) for _ in range(20)]
    outcomes: list[str] = []
    begin = threading.Barrier(2 * len(claims))

    def run(operation: Callable[[], None]) -> None:
        begin.wait()
        try:
            operation()
            outcomes.append("done")
        except AttemptErasedError:
            outcomes.append("erased")

    operations = [
        operation for claim in claims for operation in (partial(save, writer, claim, quiz), partial(erase, work, claim))
    ]
    threads = [threading.Thread(target=run, args=[operation]) for operation in operations]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Every one is told one of the two; what was acknowledged was stored before its erasure.
    assert len(outcomes) == len(operations)
    with work.read() as connection:
        states = [load_state(connection, claim) for claim in claims]
    assert all(state.is_erased and state.answers == {} for state in states)


def test_a_player_takes_along_what_is_stored_and_erases_it_over_rest(client: FlaskClient, work: UnitOfWork) -> None:
    quiz = make_quiz(work)
    first = quiz.document.questions[0]
    started = client.post(f"/api/v1/quizzes/{quiz.quiz_id}/attempts", json={"name": "Grace"})
    address = started.headers["Location"]
    client.put(f"{address}/answers/{first.item_id}", json={"choices": [first.right[0]], "sequence": 4})
    client.post(f"{address}/finish")
    data = client.get(f"{address}/data")
    assert data.headers["Content-Disposition"].startswith("attachment; filename=")
    body = data.get_json()
    assert (body["player_name"], body["score"], body["kept_days"]) == ("Grace", 1, None)
    assert [(answer["stem"], answer["texts"], answer["sequence"]) for answer in body["answers"]] == [
        (first.stem, [first.choices[first.right[0]]], 4)
    ]
    assert [client.delete(address).status_code for _ in range(2)] == [204, 204]
    assert client.get(f"/api/v1/quizzes/{quiz.quiz_id}/leaderboard").get_json()["places"] == []
    refused = [
        client.get(address),
        client.get(f"{address}/data"),
        client.post(f"{address}/finish"),
        client.put(f"{address}/answers/{first.item_id}", json={"choices": [0]}),
        client.post(f"/api/v1/quizzes/{quiz.quiz_id}/attempts", json={"player": started.get_json()["player"]}),
    ]
    assert [response.status_code for response in refused] == [410] * 5


def test_the_page_says_what_is_stored_and_erases_only_with_the_tick(client: FlaskClient, work: UnitOfWork) -> None:
    quiz = make_quiz(work)
    page = client.post(f"/quizzes/{quiz.slug}/start", data={"name": "Grace"}).location
    assert f"{page}/data" in client.get(page).text
    assert "Grace" in client.get(f"{page}/data").text
    client.post(f"{page}/erase")
    assert client.get(f"{page}/data").status_code == 200
    client.post(f"{page}/erase", data={"sure": "yes"})
    erased = client.get(f"{page}/data")
    assert (erased.status_code, "has been erased" in erased.text) == (410, True)
    assert "Continue where you were" not in client.get(f"/quizzes/{quiz.slug}").text
