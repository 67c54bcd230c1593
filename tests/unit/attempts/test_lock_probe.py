from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import pytest
from sqlalchemy import Connection, select

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts import batch_writes, tokens
from webapp.attempts.answer_writer import AnswerWriter
from webapp.attempts.batch_writes import FinishAttempt, SaveAnswers
from webapp.attempts.entry_batch import Entry
from webapp.attempts.lock_probe import find_locked_attempts
from webapp.attempts.models import Answer
from webapp.attempts.tokens import AttemptClaim
from webapp.lab.factories import make_quiz
from webapp.quizzes.published import PublishedVersion


@pytest.fixture
def quiz(work: UnitOfWork) -> PublishedVersion:
    if work.engine.dialect.name == "sqlite":
        pytest.skip("SQLite locks the database and no row")
    return make_quiz(work)


def claim_of(quiz: PublishedVersion) -> AttemptClaim:
    return tokens.new_claim(quiz.version_id, tokens.new_player_id(), "Ada", quiz.now)


def insert_attempt(connection: Connection, claim: AttemptClaim) -> None:
    batch_writes.ensure_rows(connection, [claim], 0)


def insert_another_of_the_player(connection: Connection, claim: AttemptClaim) -> None:
    another = replace(claim, attempt_id=uuid4())
    batch_writes.ensure_rows(connection, [another], 0)


def lock_attempt(connection: Connection, claim: AttemptClaim) -> None:
    assert batch_writes.lock_attempts(connection, [claim.attempt_id])


def lock_answer(connection: Connection, claim: AttemptClaim) -> None:
    query = select(Answer.item_id).where(Answer.attempt_id == claim.attempt_id)
    assert connection.execute(query.with_for_update()).all()


@pytest.mark.parametrize(
    ("lock", "is_stored"),
    [
        (insert_attempt, False),
        (insert_another_of_the_player, False),
        (lock_attempt, True),
        (lock_answer, True),
    ],
)
def test_an_attempt_with_a_locked_row_is_found_without_waiting_for_it(
    work: UnitOfWork, quiz: PublishedVersion, lock: Callable[[Connection, AttemptClaim], None], is_stored: bool
) -> None:
    locked, free, new = (claim_of(quiz) for _ in range(3))
    chosen = {quiz.document.questions[0].item_id: 1}
    writer = AnswerWriter(work, 30.0)
    for claim in (locked, free) if is_stored else (free,):
        writer.group_commit.write_one(SaveAnswers(claim, chosen))
    entries: list[Entry] = [
        SaveAnswers(locked, chosen), SaveAnswers(free, chosen), SaveAnswers(new, chosen),
        FinishAttempt(free, quiz.document),
    ]  # fmt: skip
    with work.transaction() as holder:
        lock(holder, locked)
        with work.autocommit() as connection:
            assert find_locked_attempts(connection, entries) == {locked.attempt_id}
    with work.autocommit() as connection:
        assert find_locked_attempts(connection, entries) == set()
