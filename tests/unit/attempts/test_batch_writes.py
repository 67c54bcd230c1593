from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts import answer_store, batch_writes, tokens
from webapp.attempts.batch_writes import FinishAttempt
from webapp.attempts.models import Attempt
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


def begin(work: UnitOfWork, claims: list[AttemptClaim], grace: int = 0) -> None:
    work.run_in_transaction(lambda connection: batch_writes.ensure_rows(connection, claims, grace))


def row_count(work: UnitOfWork) -> int:
    with work.read() as connection:
        return int(connection.execute(select(func.count()).select_from(Attempt)).scalar_one())


def test_rows_are_made_once_and_one_for_each_player(
    work: UnitOfWork, quiz: PublishedVersion, claims: list[AttemptClaim]
) -> None:
    begin(work, claims)
    again = replace(claims[0], attempt_id=uuid4())
    begin(work, [*claims, again])
    assert row_count(work) == 3


def test_after_the_window_no_row_is_made_unless_its_grace_lasts(
    work: UnitOfWork, quiz: PublishedVersion, claims: list[AttemptClaim]
) -> None:
    work.run_in_transaction(lambda connection: publishing.close(connection, quiz.quiz_id))
    begin(work, claims)
    assert row_count(work) == 0
    begin(work, claims, grace=60)
    assert row_count(work) == 3


def test_a_finish_scores_all_and_repeats_the_first_result(
    work: UnitOfWork, quiz: PublishedVersion, claims: list[AttemptClaim]
) -> None:
    begin(work, claims)
    entries = [FinishAttempt(claim, quiz.document) for claim in claims[:2]]
    states = work.run_in_transaction(lambda connection: batch_writes.finish(connection, entries))
    assert [states[claim.attempt_id].score for claim in claims[:2]] == [0, 0]
    with work.read() as connection:
        assert [answer_store.load_state(connection, claim).score for claim in claims] == [0, 0, None]
    assert work.run_in_transaction(lambda connection: batch_writes.finish(connection, entries)) == states


def test_a_row_that_another_session_has_locked_is_left_out_and_not_waited_for(
    work: UnitOfWork, quiz: PublishedVersion, claims: list[AttemptClaim]
) -> None:
    if work.engine.dialect.name == "sqlite":
        pytest.skip("SQLite locks the database and no row")
    begin(work, claims)
    ids = {claim.attempt_id for claim in claims}
    with work.transaction() as holder:
        assert batch_writes.lock_attempts(holder, {claims[0].attempt_id}) == {claims[0].attempt_id}
        with work.transaction() as connection:
            assert batch_writes.lock_attempts(connection, ids) == ids - {claims[0].attempt_id}


def test_counting_a_batch_changes_the_rows_of_unfinished_attempts(
    work: UnitOfWork, quiz: PublishedVersion, claims: list[AttemptClaim]
) -> None:
    begin(work, claims)
    finished = FinishAttempt(claims[0], quiz.document)
    work.run_in_transaction(lambda connection: batch_writes.finish(connection, [finished]))
    for _ in range(2):
        work.run_in_transaction(
            lambda connection: batch_writes.count_batch(connection, [claim.attempt_id for claim in claims[:2]])
        )
    with work.read() as connection:
        rows = connection.execute(select(Attempt.id, Attempt.saved_batches)).all()
        counts = {row.id: row.saved_batches for row in rows}
    assert [counts[claim.attempt_id] for claim in claims] == [0, 2, 0]
