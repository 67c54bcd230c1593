"""What a player does, through whichever door he comes: start, answer, finish, look at the board."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from webapp.attempts import presenter, scoring, tokens
from webapp.attempts.answer_store import AttemptState
from webapp.attempts.answer_writer import AnswerWriter
from webapp.attempts.batch_writes import FinishAttempt, SaveAnswers
from webapp.attempts.leaderboard_cache import Leaderboard, LeaderboardCache
from webapp.attempts.presenter import AttemptSnapshot, AttemptView
from webapp.attempts.rate_limit import PlayerRateLimiter
from webapp.attempts.tokens import AttemptClaim
from webapp.errors import QuizNotOpenError
from webapp.quizzes.published import PublishedVersion, QuizId, QuizState, Slug
from webapp.quizzes.published_cache import PublishedQuizCache


@dataclass(frozen=True)
class StartedAttempt:
    """A new attempt and its tokens."""

    claim: AttemptClaim
    token: str
    player_token: str


@dataclass
class AttemptService:
    """The push's steps. None of them holds a connection of the request's."""

    quiz_cache: PublishedQuizCache
    leaderboards: LeaderboardCache
    writer: AnswerWriter
    rate_limiter: PlayerRateLimiter
    signing_key: str
    """Signs the tokens."""
    token_ttl: int
    """Seconds that an attempt's token is good."""

    def verify(self, token: str) -> AttemptClaim:
        """Return what an attempt's token says.

        Raises:
            NotFoundError: when it is not ours, was changed, or is too old.
        """
        return tokens.verify(token, self.signing_key, self.token_ttl)

    def verify_write(self, token: str) -> AttemptClaim:
        """Return what an attempt's token says, and count a write of its player.

        Raises:
            NotFoundError: as `claim`.
            QuotaExceededError: when the player writes too often.
        """
        claim = self.verify(token)
        self.rate_limiter.acquire(claim.player_id)
        return claim

    def peek_version(self, token: str) -> PublishedVersion | None:
        """Return the version of an attempt where it is in memory and was looked after just now; None otherwise.

        Raises:
            NotFoundError: as `claim`.
        """
        return self.quiz_cache.peek(self.verify(token).version_id)

    def start(self, quiz: QuizId | Slug, name: str, player: UUID | None) -> StartedAttempt:
        """Start an attempt at an open quiz, for this player or for a new one. Nothing is stored yet.

        Raises:
            NotFoundError: when there is no such quiz.
            QuizNotOpenError: outside of its window.
        """
        player_id = player or tokens.new_player_id()
        claim = begin_attempt(self.quiz_cache.current(quiz), player_id, name)
        return StartedAttempt(
            claim, tokens.issue(claim, self.signing_key), tokens.issue_player_token(player_id, self.signing_key)
        )

    def prepare_answer(
        self, token: str, item_id: int, choices: Sequence[int], version: PublishedVersion | None = None
    ) -> SaveAnswers:
        """Return what is to be written for an answer; with what `at_hand` has returned, nothing is read for it.

        Raises:
            NotFoundError, InvalidInputError: when the token, the item or a choice is not of the quiz.
            QuizNotOpenError: when it is too late by far.
            QuotaExceededError: when the player writes too often.
        """
        claim = self.verify_write(token)
        if version is None:
            version = self.quiz_cache.by_version(claim.version_id)
        return self.writer.prepare_save(
            claim, version, {item_id: scoring.as_bits(version.document.question(item_id), choices)}
        )

    def answer(self, token: str, item_id: int, choices: Sequence[int]) -> list[int]:
        """Store an answer; return the positions that are stored.

        Raises:
            NotFoundError, InvalidInputError: as `prepare_answer`.
            QuizNotOpenError, AttemptFinishedError, AttemptExistsError, BusyError: as `Writer.save`.
        """
        entry = self.prepare_answer(token, item_id, choices)
        self.writer.write(entry)
        return scoring.as_positions(entry.chosen[item_id])

    def prepare_finish(self, token: str) -> FinishAttempt:
        """Return what is to be written to finish.

        Raises:
            NotFoundError: when the token is not good.
            QuotaExceededError: when the player writes too often.
        """
        claim = self.verify_write(token)
        return FinishAttempt(claim, self.quiz_cache.by_version(claim.version_id).document)

    def finish(self, token: str) -> AttemptView:
        """Finish and score; the second time and ever after, return the first result.

        Raises:
            NotFoundError, QuizNotOpenError, AttemptExistsError, BusyError: as `Writer.finish`.
        """
        entry = self.prepare_finish(token)
        return self.finished_view(entry.claim, self.writer.finish(entry.claim, entry.document))

    def finished_view(self, claim: AttemptClaim, state: AttemptState) -> AttemptView:
        """Return a finished attempt with its place on the board."""
        version = self.quiz_cache.by_version(claim.version_id)
        place = presenter.find_rank(self.leaderboards.get(claim.version_id), state)
        return presenter.build_view(claim, AttemptSnapshot(version, state), place)

    def leaderboard(self, quiz: QuizId | Slug) -> tuple[PublishedVersion, Leaderboard]:
        """Return the board of a quiz's latest version.

        Raises:
            NotFoundError: when there is no such quiz.
        """
        version = self.quiz_cache.current(quiz)
        return version, self.leaderboards.get(version.version_id)


def get_attempt_service(app: Any) -> AttemptService:
    """Return what a Flask app's worker plays with."""
    return cast("AttemptService", app.extensions["attempt_service"])


def begin_attempt(version: PublishedVersion, player_id: uuid.UUID, player_name: str) -> AttemptClaim:
    """Begin an attempt at a version, at the database's time when the version was read.

    Raises:
        QuizNotOpenError: when it was not open then.
    """
    if version.state is QuizState.UPCOMING:
        raise QuizNotOpenError(f"The quiz opens at {version.opens_at.isoformat()}.")
    if version.state is QuizState.CLOSED:
        raise QuizNotOpenError(f"The quiz closed at {version.closes_at.isoformat()}.")
    return tokens.new_claim(version.version_id, player_id, player_name, version.now)
