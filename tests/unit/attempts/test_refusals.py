from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import pytest

from poolproof.transactions.group_commit import EntryBlockedError
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts import batch_writes, refusals, tokens
from webapp.attempts.batch_writes import FinishAttempt
from webapp.attempts.tokens import AttemptClaim
from webapp.errors import AttemptExistsError, AttemptFinishedError, NotFoundError, QuizNotOpenError
from webapp.lab.factories import make_quiz
from webapp.quizzes import publishing
from webapp.quizzes.published import PublishedVersion


@pytest.fixture
def quiz(work: UnitOfWork) -> PublishedVersion:
    return make_quiz(work)


def begun(work: UnitOfWork, quiz: PublishedVersion) -> AttemptClaim:
    claim = tokens.new_claim(quiz.version_id, uuid4(), "Ada", quiz.now)
    work.run_in_transaction(lambda connection: batch_writes.ensure_rows(connection, [claim], 0))
    return claim


def finished(work: UnitOfWork, quiz: PublishedVersion) -> AttemptClaim:
    claim = begun(work, quiz)
    work.run_in_transaction(lambda connection: batch_writes.finish(connection, [FinishAttempt(claim, quiz.document)]))
    return claim


def closed(work: UnitOfWork, quiz: PublishedVersion) -> AttemptClaim:
    work.run_in_transaction(lambda connection: publishing.close(connection, quiz.quiz_id))
    return tokens.new_claim(quiz.version_id, uuid4(), "Ada", quiz.now)


def second(work: UnitOfWork, quiz: PublishedVersion) -> AttemptClaim:
    return replace(begun(work, quiz), attempt_id=uuid4())


def unpublished(work: UnitOfWork, quiz: PublishedVersion) -> AttemptClaim:
    return tokens.new_claim(quiz.version_id + 1000, uuid4(), "Ada", quiz.now)


@pytest.mark.parametrize(
    ("situation", "of_save", "of_finish"),
    [
        (begun, EntryBlockedError, EntryBlockedError),
        (finished, AttemptFinishedError, EntryBlockedError),
        (closed, QuizNotOpenError, QuizNotOpenError),
        (second, AttemptExistsError, AttemptExistsError),
        (unpublished, NotFoundError, NotFoundError),
    ],
)
def test_each_entry_is_told_its_own_reason(
    work: UnitOfWork,
    quiz: PublishedVersion,
    situation: Callable[[UnitOfWork, PublishedVersion], AttemptClaim],
    of_save: type[Exception],
    of_finish: type[Exception],
) -> None:
    claim, bystander = situation(work, quiz), finished(work, make_quiz(work))
    with work.read() as connection:
        found = refusals.find_refusals(connection, [claim, bystander], 0)
    assert type(found.of_save(claim.attempt_id)) is of_save
    assert type(found.of_finish(claim.attempt_id)) is of_finish
    assert type(found.of_save(bystander.attempt_id)) is AttemptFinishedError
    assert bystander.attempt_id in found.finished()
    assert (claim.attempt_id in found.without_row()) == (situation not in {begun, finished})


def test_within_the_grace_after_the_window_the_attempt_was_only_locked(
    work: UnitOfWork, quiz: PublishedVersion
) -> None:
    claim = begun(work, quiz)
    closed(work, quiz)
    with work.read() as connection:
        found = refusals.find_refusals(connection, [claim], 60)
    assert type(found.of_save(claim.attempt_id)) is EntryBlockedError
