from __future__ import annotations

import pytest

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts import answer_store, batch_writes, tokens
from webapp.attempts.batch_writes import BatchRejectedError, FinishAttempt, SaveAnswers
from webapp.attempts.tokens import AttemptClaim
from webapp.lab.factories import make_quiz
from webapp.quizzes import publishing
from webapp.quizzes.published import PublishedVersion


@pytest.fixture
def quiz(work: UnitOfWork) -> PublishedVersion:
    return make_quiz(work)


@pytest.fixture
def claims(quiz: PublishedVersion) -> list[AttemptClaim]:
    return [tokens.new_claim(quiz.version_id, tokens.new_player_id(), f"Ada {number}", quiz.now) for number in range(3)]


def begin(work: UnitOfWork, claims: list[AttemptClaim]) -> None:
    work.run_in_transaction(lambda connection: batch_writes.ensure_rows(connection, claims, 0))


def save(work: UnitOfWork, quiz: PublishedVersion, claims: list[AttemptClaim]) -> None:
    right = {question.item_id: 1 << question.right[0] for question in quiz.document.questions}
    entries = [SaveAnswers(claim, right) for claim in claims]
    work.run_in_transaction(lambda connection: batch_writes.save(connection, entries, 0))


def test_a_batch_is_stored_and_scored_as_single_entries_are(
    work: UnitOfWork, quiz: PublishedVersion, claims: list[AttemptClaim]
) -> None:
    begin(work, claims)
    save(work, quiz, claims)
    entries = [FinishAttempt(claim, quiz.document) for claim in claims[:2]]
    states = work.run_in_transaction(lambda connection: batch_writes.finish(connection, entries))
    assert [states[claim.attempt_id].score for claim in claims[:2]] == [2, 2]
    with work.read() as connection:
        assert [answer_store.load_state(connection, claim).score for claim in claims] == [2, 2, None]
    again = work.run_in_transaction(lambda connection: batch_writes.finish(connection, entries))
    assert again == states


def test_an_attempt_without_a_row_rejects_the_batch(
    work: UnitOfWork, quiz: PublishedVersion, claims: list[AttemptClaim]
) -> None:
    begin(work, claims[1:])
    with pytest.raises(BatchRejectedError):
        save(work, quiz, claims)
    with work.read() as connection:
        assert answer_store.load_state(connection, claims[1]).answers == {}


def test_after_the_window_a_batch_is_rejected_unless_its_grace_lasts(
    work: UnitOfWork, quiz: PublishedVersion, claims: list[AttemptClaim]
) -> None:
    begin(work, claims)
    work.run_in_transaction(lambda connection: publishing.close(connection, quiz.quiz_id))
    with pytest.raises(BatchRejectedError):
        save(work, quiz, claims)
    entries = [SaveAnswers(claims[0], {quiz.document.questions[0].item_id: 1})]
    work.run_in_transaction(lambda connection: batch_writes.save(connection, entries, 60))
