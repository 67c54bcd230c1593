from __future__ import annotations

import time

import pytest
from sqlalchemy import select

from poolproof.transactions.group_commit import EntryBlockedError
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts import batch_writes, tokens
from webapp.attempts.answer_store import AttemptState
from webapp.attempts.batch_writes import FinishAttempt, SaveAnswers
from webapp.attempts.entry_batch import Entry, EntryBatch
from webapp.attempts.models import Attempt
from webapp.attempts.tokens import AttemptClaim
from webapp.db.server_clock import ServerClock
from webapp.db.timestamps import database_now
from webapp.errors import AttemptFinishedError
from webapp.lab.factories import make_quiz
from webapp.quizzes.published import PublishedVersion


@pytest.fixture
def quiz(work: UnitOfWork) -> PublishedVersion:
    return make_quiz(work)


def begun(work: UnitOfWork, quiz: PublishedVersion) -> AttemptClaim:
    claim = tokens.new_claim(quiz.version_id, tokens.new_player_id(), "Ada", quiz.now)
    work.run_in_transaction(lambda connection: batch_writes.ensure_rows(connection, [claim], 0))
    return claim


def write(work: UnitOfWork, entries: list[Entry], *, counts_batches: bool) -> list[AttemptState | Exception | None]:
    clock = ServerClock()
    with work.transaction() as connection:
        clock.record(database_now(connection), time.monotonic(), time.monotonic())
        batch = EntryBatch(entries, clock, 0)
        batch.write(connection, counts_batches=counts_batches)
    return [batch.outcome(entry) for entry in entries]


def saved_batches(work: UnitOfWork, claim: AttemptClaim) -> int:
    with work.read() as connection:
        return connection.execute(select(Attempt.saved_batches).where(Attempt.id == claim.attempt_id)).scalar_one()


def right(quiz: PublishedVersion) -> dict[int, int]:
    return {question.item_id: 1 << question.right[0] for question in quiz.document.questions}


@pytest.mark.parametrize("counts_batches", [False, True])
def test_each_entry_has_its_own_outcome_and_an_attempts_saves_come_before_its_finish(
    work: UnitOfWork, quiz: PublishedVersion, counts_batches: bool
) -> None:
    claim, finished = begun(work, quiz), begun(work, quiz)
    write(work, [FinishAttempt(finished, quiz.document)], counts_batches=False)
    entries: list[Entry] = [
        FinishAttempt(claim, quiz.document), SaveAnswers(finished, right(quiz)), SaveAnswers(claim, right(quiz)),
        FinishAttempt(finished, quiz.document),
    ]  # fmt: skip
    scored, refused, saved, again = write(work, entries, counts_batches=counts_batches)
    assert isinstance(scored, AttemptState)
    assert isinstance(again, AttemptState)
    assert (scored.score, again.score, saved) == (2, 0, None)
    assert isinstance(refused, AttemptFinishedError)


@pytest.mark.parametrize("counts_batches", [False, True])
def test_where_row_locks_are_local_a_batch_changes_the_rows_of_its_attempts(
    work: UnitOfWork, quiz: PublishedVersion, counts_batches: bool
) -> None:
    claim, other = begun(work, quiz), begun(work, quiz)
    for _ in range(3):
        assert write(work, [SaveAnswers(claim, right(quiz))], counts_batches=counts_batches) == [None]
    assert (saved_batches(work, claim), saved_batches(work, other)) == (3 if counts_batches else 0, 0)


@pytest.mark.parametrize("counts_batches", [False, True])
def test_only_the_entries_of_a_locked_attempt_are_blocked(
    work: UnitOfWork, quiz: PublishedVersion, counts_batches: bool
) -> None:
    if work.engine.dialect.name == "sqlite":
        pytest.skip("SQLite locks the database and no row")
    claim, other = begun(work, quiz), begun(work, quiz)
    entries: list[Entry] = [
        SaveAnswers(claim, right(quiz)), FinishAttempt(claim, quiz.document),
        SaveAnswers(other, right(quiz)), FinishAttempt(other, quiz.document),
    ]  # fmt: skip
    with work.transaction() as holder:
        batch_writes.lock_attempts(holder, {claim.attempt_id})
        outcomes = write(work, entries, counts_batches=counts_batches)
    assert [type(outcome) for outcome in outcomes] == [EntryBlockedError, EntryBlockedError, type(None), AttemptState]
    outcomes = write(work, entries[:2], counts_batches=counts_batches)
    assert [type(outcome) for outcome in outcomes] == [type(None), AttemptState]
