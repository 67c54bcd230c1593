"""Exactly once: whatever is repeated, reordered or sent in parallel."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, event, func, select

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts import answer_store, tokens
from webapp.attempts.answer_store import AttemptState
from webapp.attempts.answer_writer import AnswerWriter
from webapp.attempts.batch_writes import FinishAttempt, SaveAnswers
from webapp.attempts.models import Answer, Attempt
from webapp.attempts.tokens import AttemptClaim
from webapp.errors import AttemptExistsError, AttemptFinishedError, QuizNotOpenError
from webapp.lab.factories import make_quiz
from webapp.quizzes import publishing
from webapp.quizzes.published import PublishedVersion

TIMEOUT = 30.0


@pytest.fixture
def quiz(work: UnitOfWork) -> PublishedVersion:
    return make_quiz(work, questions=3)


@pytest.fixture
def claim(quiz: PublishedVersion) -> AttemptClaim:
    return tokens.new_claim(quiz.version_id, tokens.new_player_id(), "Grace", quiz.now)


def save(work: UnitOfWork, claim: AttemptClaim, chosen: dict[int, int]) -> None:
    """Save as a worker that knows nothing of the attempt."""
    AnswerWriter(work, TIMEOUT).group_commit.write_one(SaveAnswers(claim, chosen))


def finish(work: UnitOfWork, claim: AttemptClaim, quiz: PublishedVersion) -> AttemptState:
    state = AnswerWriter(work, TIMEOUT).group_commit.write_one(FinishAttempt(claim, quiz.document))
    assert state is not None
    return state


def stored(work: UnitOfWork, claim: AttemptClaim) -> AttemptState:
    with work.read() as connection:
        return answer_store.load_state(connection, claim)


def all_right(quiz: PublishedVersion) -> dict[int, int]:
    return {question.item_id: 1 << question.right[0] for question in quiz.document.questions}


def in_parallel(times: int, fn: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(times) as pool:
        return [future.result() for future in [pool.submit(fn) for _ in range(times)]]


def rows(work: UnitOfWork, table: type[Attempt | Answer]) -> int:
    with work.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def test_nothing_is_stored_before_the_first_answer(
    work: UnitOfWork, quiz: PublishedVersion, claim: AttemptClaim
) -> None:
    assert stored(work, claim) == AttemptState({}, None, None, None)
    assert rows(work, Attempt) == 0


def test_an_answer_is_there_once_however_often_it_is_sent(
    work: UnitOfWork, quiz: PublishedVersion, claim: AttemptClaim
) -> None:
    item = quiz.document.questions[0].item_id
    for _ in range(3):
        save(work, claim, {item: 1})
    assert stored(work, claim).answers == {item: 1}
    assert rows(work, Answer) == rows(work, Attempt) == 1


def test_the_last_of_two_choices_counts(work: UnitOfWork, quiz: PublishedVersion, claim: AttemptClaim) -> None:
    item = quiz.document.questions[0].item_id
    save(work, claim, {item: 1})
    save(work, claim, {item: 4})
    assert stored(work, claim).answers == {item: 4}


def test_fifty_equal_answers_at_once_make_one_row_and_no_error(
    work: UnitOfWork, quiz: PublishedVersion, claim: AttemptClaim
) -> None:
    item = quiz.document.questions[0].item_id

    def save_thirteen_times() -> None:
        for _ in range(13):
            save(work, claim, {item: 2})

    in_parallel(4, save_thirteen_times)
    assert stored(work, claim).answers == {item: 2}
    assert rows(work, Answer) == rows(work, Attempt) == 1


def test_a_late_answer_is_refused_and_not_stored(work: UnitOfWork, quiz: PublishedVersion, claim: AttemptClaim) -> None:
    first, second, _ = (question.item_id for question in quiz.document.questions)
    save(work, claim, {first: 1})
    work.run_in_transaction(lambda connection: publishing.close(connection, quiz.quiz_id))
    with pytest.raises(QuizNotOpenError, match="came too late and was not saved"):
        save(work, claim, {second: 1})
    assert stored(work, claim).answers == {first: 1}


def test_a_late_first_answer_leaves_no_attempt(work: UnitOfWork, quiz: PublishedVersion, claim: AttemptClaim) -> None:
    work.run_in_transaction(lambda connection: publishing.close(connection, quiz.quiz_id))
    with pytest.raises(QuizNotOpenError):
        save(work, claim, all_right(quiz))
    assert rows(work, Attempt) == rows(work, Answer) == 0


def test_an_answer_after_the_finish_is_refused(work: UnitOfWork, quiz: PublishedVersion, claim: AttemptClaim) -> None:
    finish(work, claim, quiz)
    with pytest.raises(AttemptFinishedError):
        save(work, claim, all_right(quiz))
    assert stored(work, claim).score == 0


def test_a_second_attempt_of_the_same_player_is_refused(
    work: UnitOfWork, quiz: PublishedVersion, claim: AttemptClaim
) -> None:
    save(work, claim, all_right(quiz))
    another = replace(claim, attempt_id=uuid4())
    with pytest.raises(AttemptExistsError):
        save(work, another, all_right(quiz))
    with pytest.raises(AttemptExistsError):
        finish(work, another, quiz)
    assert rows(work, Attempt) == 1


def test_finishing_scores_what_is_stored_and_says_the_same_ever_after(
    work: UnitOfWork, quiz: PublishedVersion, claim: AttemptClaim
) -> None:
    right = all_right(quiz)
    wrong = quiz.document.questions[0]
    save(work, claim, {**right, wrong.item_id: 1 << ((wrong.right[0] + 1) % 3)})
    first = finish(work, claim, quiz)
    assert (first.score, finish(work, claim, quiz)) == (2, first)


def test_parallel_finishes_score_once_and_answer_alike(
    work: UnitOfWork, quiz: PublishedVersion, claim: AttemptClaim
) -> None:
    save(work, claim, all_right(quiz))
    results = in_parallel(4, lambda: finish(work, claim, quiz))
    assert {(result.score, result.milliseconds, result.finished_at) for result in results} == {
        (3, results[0].milliseconds, results[0].finished_at)
    }


def test_answers_in_time_count_when_the_finish_comes_after_the_window(
    work: UnitOfWork, quiz: PublishedVersion, claim: AttemptClaim
) -> None:
    save(work, claim, all_right(quiz))
    work.run_in_transaction(lambda connection: publishing.close(connection, quiz.quiz_id))
    assert finish(work, claim, quiz).score == 3


def test_an_attempt_cannot_be_begun_by_finishing_after_the_window(
    work: UnitOfWork, quiz: PublishedVersion, claim: AttemptClaim
) -> None:
    work.run_in_transaction(lambda connection: publishing.close(connection, quiz.quiz_id))
    with pytest.raises(QuizNotOpenError):
        finish(work, claim, quiz)


def test_answers_that_race_with_the_finish_are_either_scored_or_refused(
    work: UnitOfWork, quiz: PublishedVersion
) -> None:
    first, *others = (question.item_id for question in quiz.document.questions)
    right = all_right(quiz)
    for _ in range(10):
        claim = tokens.new_claim(quiz.version_id, tokens.new_player_id(), "Grace", quiz.now)
        save(work, claim, {first: right[first]})

        def answer(item: int, claim: AttemptClaim = claim) -> int:
            try:
                save(work, claim, {item: right[item]})
            except AttemptFinishedError:
                return 0
            return 1

        with ThreadPoolExecutor(3) as pool:
            futures = [pool.submit(answer, item) for item in others]
            result = pool.submit(finish, work, claim, quiz).result()
            acknowledged = 1 + sum(future.result() for future in futures)
        assert result.score == acknowledged == len(stored(work, claim).answers)


def test_all_answers_of_a_form_are_stored_by_one_statement(
    work: UnitOfWork, quiz: PublishedVersion, claim: AttemptClaim
) -> None:
    counted: list[str] = []

    def count(connection: Connection, cursor: object, statement: str, *rest: object) -> None:
        counted.append(statement)

    event.listen(work.engine, "before_cursor_execute", count)
    try:
        save(work, claim, all_right(quiz))
    finally:
        event.remove(work.engine, "before_cursor_execute", count)
    assert len([statement for statement in counted if statement.startswith("INSERT")]) == 2
