"""What is stored when a quiz closes is scored once, whoever reads it first."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, select, update

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts import attempt_start, batch_writes, overdue, tokens
from webapp.attempts.answer_writer import AnswerWriter
from webapp.attempts.batch_writes import FinishAttempt, SaveAnswers
from webapp.attempts.models import Answer, Attempt
from webapp.attempts.time_limits import TimeLimits
from webapp.attempts.tokens import AttemptClaim
from webapp.errors import QuizNotOpenError
from webapp.lab.factories import make_quiz
from webapp.quizzes import published, publishing
from webapp.quizzes.published import PublishedVersion

LIMITS = TimeLimits(grace=0, ttl=3600)
TIMEOUT = 30.0


@pytest.fixture
def quiz(work: UnitOfWork) -> PublishedVersion:
    return make_quiz(work, questions=3)


def close(work: UnitOfWork, quiz: PublishedVersion) -> PublishedVersion:
    work.run_in_transaction(lambda connection: publishing.close(connection, quiz.quiz_id))
    with work.read() as connection:
        return published.by_version(connection, quiz.version_id)


def lengthen(work: UnitOfWork, quiz: PublishedVersion) -> PublishedVersion:
    closes_at = quiz.now + timedelta(hours=1)
    return work.run_in_transaction(
        lambda connection: publishing.change_rules(connection, quiz.quiz_id, {"closes_at": closes_at})
    )


def play(work: UnitOfWork, quiz: PublishedVersion, right: int, claim: AttemptClaim | None = None) -> AttemptClaim:
    """Store an answer to each question, so many of them right, and do not finish."""
    claim = claim or attempt_start.begin_attempt(quiz, tokens.new_player_id(), "Ada")
    chosen = {
        question.item_id: 1 << (question.right[0] if number < right else (question.right[0] + 1) % 3)
        for number, question in enumerate(quiz.document.questions)
    }
    AnswerWriter(work, TIMEOUT).group_commit.write_one(SaveAnswers(claim, chosen))
    return claim


def score(work: UnitOfWork, quiz: PublishedVersion, limits: TimeLimits = LIMITS) -> int:
    return work.run_in_transaction(lambda connection: overdue.score_batch(connection, quiz, limits))


def stored(work: UnitOfWork) -> dict[Any, Any]:
    with work.read() as connection:
        rows = connection.execute(
            select(Attempt.id, Attempt.score, Attempt.milliseconds, Attempt.finished_at, Attempt.started_at)
        )
        return {row.id: row for row in rows}


def test_what_is_stored_when_the_quiz_closes_is_scored_by_the_time_of_the_last_answer(
    work: UnitOfWork, quiz: PublishedVersion
) -> None:
    claims = [play(work, quiz, right) for right in (3, 1, 0)]
    assert score(work, quiz) == 0
    closed = close(work, quiz)
    assert score(work, closed) == 3
    rows = stored(work)
    assert [rows[claim.attempt_id].score for claim in claims] == [3, 1, 0]
    with work.read() as connection:
        for claim in claims:
            last = connection.execute(
                select(Answer.answered_at).where(Answer.attempt_id == claim.attempt_id).order_by(Answer.answered_at)
            ).all()[-1][0]
            row = rows[claim.attempt_id]
            assert row.milliseconds == max(0, (last - row.started_at) // timedelta(milliseconds=1))
    assert score(work, closed) == 0


def test_the_scoring_is_one_statement_for_any_number_of_attempts(work: UnitOfWork, quiz: PublishedVersion) -> None:
    for right in (3, 2, 1, 0):
        play(work, quiz, right)
    closed, statements = close(work, quiz), []

    def count(_: Any, __: Any, statement: str, *rest: Any) -> None:
        statements.append(statement.split(maxsplit=1)[0])

    event.listen(work.engine, "before_cursor_execute", count)
    try:
        score(work, closed)
    finally:
        event.remove(work.engine, "before_cursor_execute", count)
    assert [word for word in statements if word in {"SELECT", "UPDATE", "INSERT"}] == ["SELECT", "UPDATE"]


def test_a_batch_is_bounded(work: UnitOfWork, quiz: PublishedVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        play(work, quiz, 1)
    monkeypatch.setattr(overdue, "MAX_BATCH", 2)
    closed = close(work, quiz)
    assert [score(work, closed) for _ in range(4)] == [2, 2, 1, 0]


def test_within_the_grace_nothing_is_scored(work: UnitOfWork, quiz: PublishedVersion) -> None:
    play(work, quiz, 1)
    closed = close(work, quiz)
    assert score(work, closed, TimeLimits(grace=3600, ttl=3600)) == 0
    with work.read() as connection:
        assert overdue.has_unscored(connection, closed, LIMITS)
        assert not overdue.has_unscored(connection, closed, TimeLimits(grace=3600, ttl=3600))


def test_one_attempt_can_be_scored_alone(work: UnitOfWork, quiz: PublishedVersion) -> None:
    own, other = play(work, quiz, 3), play(work, quiz, 2)
    closed = close(work, quiz)
    work.run_in_transaction(lambda connection: overdue.score_batch(connection, closed, LIMITS, own.attempt_id))
    rows = stored(work)
    assert (rows[own.attempt_id].score, rows[other.attempt_id].score) == (3, None)


def test_several_workers_at_once_score_each_attempt_once(work: UnitOfWork, quiz: PublishedVersion) -> None:
    rights = [number % 4 for number in range(24)]
    claims = [play(work, quiz, right) for right in rights]
    closed = close(work, quiz)
    with ThreadPoolExecutor(4) as workers:
        counts = list(workers.map(lambda _: score(work, closed), range(4)))
    assert sum(counts) == 24
    rows = stored(work)
    assert [rows[claim.attempt_id].score for claim in claims] == rights


def test_one_who_finishes_while_it_is_scored_has_one_result(work: UnitOfWork, quiz: PublishedVersion) -> None:
    claims = [play(work, quiz, 2) for _ in range(8)]
    closed = close(work, quiz)
    writers = [AnswerWriter(work, TIMEOUT) for _ in claims]
    tasks: list[Callable[[], Any]] = [
        lambda writer=writer, claim=claim: writer.group_commit.submit(FinishAttempt(claim, quiz.document))  # type: ignore[misc]
        for writer, claim in zip(writers, claims, strict=True)
    ]
    with ThreadPoolExecutor(9) as pool:
        scored = pool.submit(score, work, closed)
        states = [future.result(60) for future in [pool.submit(task) for task in tasks]]
        scored.result(60)
    for writer in writers:
        writer.group_commit.stop()
    rows = stored(work)
    assert {state.score for state in states} == {row.score for row in rows.values()} == {2}


def test_an_attempt_goes_on_when_the_window_is_lengthened_and_all_of_it_counts(
    work: UnitOfWork, quiz: PublishedVersion
) -> None:
    claim = play(work, quiz, 1)
    assert score(work, close(work, quiz)) == 1
    lengthened = lengthen(work, quiz)
    assert score(work, lengthened) == 0
    play(work, lengthened, 3, claim)
    closed = close(work, quiz)
    assert score(work, closed) == 1
    assert stored(work)[claim.attempt_id].score == 3
    assert score(work, closed) == 0


def test_a_finish_after_the_window_was_lengthened_counts_what_is_stored_then(
    work: UnitOfWork, quiz: PublishedVersion
) -> None:
    claim = play(work, quiz, 1)
    score(work, close(work, quiz))
    play(work, lengthen(work, quiz), 2, claim)
    state = AnswerWriter(work, TIMEOUT).group_commit.write_one(FinishAttempt(claim, quiz.document))
    assert state is not None
    assert (state.score, stored(work)[claim.attempt_id].score) == (2, 2)


def test_an_attempt_that_was_given_up_in_a_quiz_without_an_end_is_finished_and_scored(
    work: UnitOfWork, quiz: PublishedVersion
) -> None:
    given_up, running = play(work, quiz, 2), play(work, quiz, 1)
    with work.transaction() as connection:
        long_ago = quiz.now - timedelta(hours=2)
        connection.execute(update(Attempt).where(Attempt.id == given_up.attempt_id).values(started_at=long_ago))
    assert score(work, quiz) == 1
    rows = stored(work)
    assert (rows[given_up.attempt_id].score, rows[running.attempt_id].score) == (2, None)
    assert rows[given_up.attempt_id].finished_at is not None


def test_an_answer_that_is_not_committed_yet_is_waited_for_and_scored(work: UnitOfWork, quiz: PublishedVersion) -> None:
    if work.engine.dialect.name == "sqlite":
        pytest.skip("SQLite locks the database and no row")
    claim = attempt_start.begin_attempt(quiz, tokens.new_player_id(), "Ada")
    work.run_in_transaction(lambda connection: batch_writes.ensure_rows(connection, [claim], 0))
    question = quiz.document.questions[0]
    written, may_commit = threading.Event(), threading.Event()

    def answer() -> None:
        with work.transaction() as connection:
            connection.execute(select(Attempt.id).where(Attempt.id == claim.attempt_id).with_for_update(read=True))
            bits = 1 << question.right[0]
            row = {"attempt_id": claim.attempt_id, "item_id": question.item_id, "chosen": bits, "answered_at": quiz.now}
            connection.execute(Answer.__table__.insert().values(**row))  # type: ignore[attr-defined]
            written.set()
            assert may_commit.wait(60)

    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(answer)
        assert written.wait(60)
        closed = close(work, quiz)
        assert score(work, closed) == 0
        with work.read() as connection:
            assert overdue.has_unscored(connection, closed, LIMITS)
        may_commit.set()
        answering.result(60)
    assert score(work, closed) == 1
    assert stored(work)[claim.attempt_id].score == 1


def answer_until_refused(
    writer: AnswerWriter, quiz: PublishedVersion, acknowledged: Counter[UUID], is_refused: threading.Event
) -> None:
    while not is_refused.is_set():
        claim = attempt_start.begin_attempt(quiz, tokens.new_player_id(), "Ada")
        for question in quiz.document.questions:
            try:
                writer.save(claim, quiz, {question.item_id: 1 << question.right[0]})
            except QuizNotOpenError:
                is_refused.set()
                return
            acknowledged[claim.attempt_id] += 1


def test_across_the_closing_instant_each_acknowledged_answer_is_scored_once(
    work: UnitOfWork, quiz: PublishedVersion
) -> None:
    """Two workers store answers and two score, while the quiz is closed under them."""
    writers = [AnswerWriter(work, TIMEOUT) for _ in range(2)]
    acknowledged: Counter[UUID] = Counter()
    is_refused, barrier = threading.Event(), threading.Barrier(6)

    def answer(writer: AnswerWriter) -> None:
        barrier.wait(60)
        answer_until_refused(writer, quiz, acknowledged, is_refused)

    def score_until_refused() -> None:
        barrier.wait(60)
        closed = close(work, quiz)
        while not is_refused.is_set() or score(work, closed):
            score(work, closed)

    with ThreadPoolExecutor(6) as pool:
        tasks = [pool.submit(answer, writer) for writer in writers * 2]
        tasks += [pool.submit(score_until_refused) for _ in range(2)]
        for task in tasks:
            task.result(120)
    for writer in writers:
        writer.group_commit.stop()
    score(work, close(work, quiz))
    assert {attempt: row.score for attempt, row in stored(work).items() if row.score} == dict(acknowledged)
