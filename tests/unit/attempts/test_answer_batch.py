from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts import batch_writes, tokens
from webapp.attempts.answer_batch import AnswerBatch, AnswerKey
from webapp.attempts.batch_writes import FinishAttempt, SaveAnswers
from webapp.attempts.models import Answer
from webapp.attempts.tokens import AttemptClaim
from webapp.db.server_clock import ServerClock
from webapp.db.timestamps import database_now
from webapp.lab.factories import make_quiz
from webapp.quizzes import publishing
from webapp.quizzes.published import PublishedVersion


@dataclass(frozen=True)
class Game:
    """A quiz, and an attempt at it."""

    work: UnitOfWork
    quiz: PublishedVersion
    clock: ServerClock
    claim: AttemptClaim

    @property
    def item(self) -> int:
        return self.quiz.document.questions[0].item_id

    def begin(self) -> AttemptClaim:
        return begun(self.work, self.quiz)

    def save(self, saves: Sequence[SaveAnswers], grace: int = 0) -> set[AnswerKey]:
        batch = AnswerBatch(saves, self.clock)
        with self.work.autocommit() as connection:
            batch.save(connection, grace)
            return batch.find_unsaved(connection)

    def chosen(self, claim: AttemptClaim | None = None) -> dict[int, int]:
        attempt = (claim or self.claim).attempt_id
        with self.work.read() as connection:
            rows = connection.execute(select(Answer.item_id, Answer.chosen).where(Answer.attempt_id == attempt))
            return {row.item_id: row.chosen for row in rows}


def begun(work: UnitOfWork, quiz: PublishedVersion) -> AttemptClaim:
    claim = tokens.new_claim(quiz.version_id, tokens.new_player_id(), "Ada", quiz.now)
    work.run_in_transaction(lambda connection: batch_writes.ensure_rows(connection, [claim], 0))
    return claim


@pytest.fixture
def game(work: UnitOfWork) -> Game:
    quiz, clock = make_quiz(work), ServerClock()
    with work.read() as connection:
        clock.record(database_now(connection), time.monotonic(), time.monotonic())
    return Game(work, quiz, clock, begun(work, quiz))


def test_answers_of_open_attempts_are_saved_and_the_others_are_named(game: Game) -> None:
    finished, unknown = game.begin(), tokens.new_claim(game.quiz.version_id, tokens.new_player_id(), "B", game.quiz.now)
    game.work.run_in_transaction(
        lambda connection: batch_writes.finish(connection, [FinishAttempt(finished, game.quiz.document)])
    )
    unsaved = game.save([SaveAnswers(one, {game.item: 1}) for one in (finished, game.claim, unknown)])
    assert unsaved == {(finished.attempt_id, game.item), (unknown.attempt_id, game.item)}
    assert (game.chosen(), game.chosen(finished)) == ({game.item: 1}, {})


def test_after_the_window_nothing_is_saved_unless_its_grace_lasts(game: Game) -> None:
    game.work.run_in_transaction(lambda connection: publishing.close(connection, game.quiz.quiz_id))
    assert game.save([SaveAnswers(game.claim, {game.item: 1})])
    assert not game.save([SaveAnswers(game.claim, {game.item: 1})], grace=60)


@dataclass(frozen=True)
class Sent:
    """A choice: the client's number of it, and how many seconds ago it arrived."""

    sequence: int | None
    ago: float


@pytest.mark.parametrize("is_one_batch", [True, False])
@pytest.mark.parametrize(
    ("late", "stays"),
    [
        ((Sent(None, 10), Sent(None, 11)), True),
        ((Sent(None, 10), Sent(None, 9)), False),
        ((Sent(None, 10), Sent(None, 10)), False),
        # The client's number decides where both have one, whichever arrived first.
        ((Sent(7, 10), Sent(6, 9)), True),
        ((Sent(7, 10), Sent(8, 11)), False),
        ((Sent(7, 10), Sent(7, 11)), False),
        ((Sent(7, 10), Sent(None, 11)), True),
        ((Sent(7, 10), Sent(None, 9)), False),
    ],
)
def test_only_a_newer_answer_replaces_and_an_older_one_counts_as_saved(
    game: Game, late: tuple[Sent, Sent], stays: bool, is_one_batch: bool
) -> None:
    saves = [
        SaveAnswers(game.claim, {game.item: bits}, sent.sequence, time.monotonic() - sent.ago)
        for bits, sent in zip((1, 2), late, strict=True)
    ]
    for batch in [saves] if is_one_batch else [saves[:1], saves[1:]]:
        assert not game.save(batch)
    assert game.chosen() == {game.item: 1 if stays else 2}


def test_an_answer_of_a_clock_that_was_set_back_since_is_replaced(game: Game) -> None:
    game.save([SaveAnswers(game.claim, {game.item: 1})])
    tomorrow = game.quiz.now + timedelta(days=1)
    game.work.run_in_transaction(
        lambda connection: connection.execute(update(Answer).values(answered_at=tomorrow)) and None
    )
    assert not game.save([SaveAnswers(game.claim, {game.item: 2})])
    assert game.chosen() == {game.item: 2}


def test_an_attempt_that_another_session_has_locked_is_left_out_and_not_waited_for(game: Game) -> None:
    if game.work.engine.dialect.name == "sqlite":
        pytest.skip("SQLite locks the database and no row")
    saves = [SaveAnswers(one, {game.item: 1}) for one in (game.claim, game.begin())]
    with game.work.transaction() as holder:
        batch_writes.lock_attempts(holder, {game.claim.attempt_id})
        assert game.save(saves) == {(game.claim.attempt_id, game.item)}
    assert not game.save(saves)
