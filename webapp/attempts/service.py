"""What a player does, over REST, pages and fast routes alike: start, answer, finish, read the leaderboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast
from uuid import UUID

from poolproof.transactions.unit_of_work import ConnectionFactory
from webapp.attempts import answer_store, erasure, presenter, scoring, tokens
from webapp.attempts.answer_store import AttemptState, when_over
from webapp.attempts.answer_writer import AnswerWriter
from webapp.attempts.batch_writes import FinishAttempt, SaveAnswers
from webapp.attempts.erasure import StoredData
from webapp.attempts.leaderboard_cache import Leaderboard, LeaderboardCache
from webapp.attempts.overdue_scorer import OverdueScorer
from webapp.attempts.presenter import AttemptSnapshot, AttemptView
from webapp.attempts.rate_limit import PlayerRateLimiter
from webapp.attempts.refusals import erased_error
from webapp.attempts.time_limits import TimeLimits
from webapp.attempts.tokens import AttemptClaim, PlayerClaim
from webapp.errors import AttemptFinishedError
from webapp.quizzes import published
from webapp.quizzes.published import PublishedVersion, QuizId, Slug
from webapp.quizzes.published_cache import PublishedQuizCache

SETTLE_TIMEOUT = 5.0
"""Seconds that an author's results wait for another thread that scores; a leaderboard is shown as it is."""


@dataclass(frozen=True)
class StartedAttempt:
    """A new attempt and its tokens."""

    claim: AttemptClaim
    token: str
    player_token: str
    seconds_left: int
    """For how long it takes answers, as the rules are now."""


class AttemptInPlay(NamedTuple):
    """An attempt's claim and the version that it plays, each looked up once for a request."""

    claim: AttemptClaim
    version: PublishedVersion


@dataclass
class AttemptService:
    """The steps of an attempt. None of them needs a connection of the request."""

    quiz_cache: PublishedQuizCache
    leaderboards: LeaderboardCache
    writer: AnswerWriter
    rate_limiter: PlayerRateLimiter
    signing_key: str
    """Signs the tokens."""
    time_limits: TimeLimits
    scorer: OverdueScorer
    connect: ConnectionFactory
    """Borrows a connection to read an attempt."""

    def verify(self, token: str) -> AttemptClaim:
        """Return the claim in an attempt's token.

        Raises:
            NotFoundError: when the token is not ours or was changed.
        """
        return tokens.verify(token, self.signing_key)

    def verify_write(self, token: str) -> AttemptClaim:
        """Return the claim in an attempt's token, and count a write of its player.

        Raises:
            NotFoundError: as `verify`.
            QuotaExceededError: when the player writes too often.
        """
        claim = self.verify(token)
        self.rate_limiter.acquire(claim.player_id)
        return claim

    def find(self, token: str) -> AttemptInPlay:
        """Return the attempt of a token.

        Raises:
            NotFoundError: as `verify`.
        """
        claim = self.verify(token)
        return AttemptInPlay(claim, self.quiz_cache.by_version(claim.version_id))

    def start(self, quiz: QuizId | Slug, name: str, player: PlayerClaim | None) -> StartedAttempt:
        """Start an attempt at an open quiz, of this player or of a new one. Nothing is stored yet, and nothing is read.

        A player who starts again goes on with the attempt that is stored: that alone is read.

        Raises:
            NotFoundError: when there is no such quiz.
            QuizNotOpenError: outside of its window.
            AttemptFinishedError: when the player has finished it, or its time is over.
            AttemptErasedError: when the player has erased it.
        """
        version = self.quiz_cache.current(quiz)
        player = player or PlayerClaim(tokens.new_player_id())
        claim = begin_attempt(version, player.player_id, name)
        if version.version_id in player.started:
            claim = self._resume(claim)
        if self.writer.knows_finished(claim.attempt_id):
            raise _played_error()
        self.time_limits.require_time_left(claim.started_at, version)
        others = tuple(version_id for version_id in player.started if version_id != version.version_id)
        known = PlayerClaim(player.player_id, (*others, version.version_id))
        return StartedAttempt(
            claim,
            tokens.issue(claim, self.signing_key),
            tokens.issue_player_token(known, self.signing_key),
            self.time_limits.seconds_left(claim.started_at, version),
        )

    def issue_token(self, version: PublishedVersion, player: PlayerClaim, name: str) -> str:
        """Return a token of a player's attempt at a version, whatever its state is.

        Raises:
            QuizNotOpenError: outside of its window.
        """
        return tokens.issue(begin_attempt(version, player.player_id, name), self.signing_key)

    def _resume(self, claim: AttemptClaim) -> AttemptClaim:
        with self.connect() as connection:
            stored = answer_store.find_attempt(connection, claim.attempt_id)
        if stored is None:
            return claim
        if stored.erased_at is not None:
            raise erased_error()
        if stored.finished_at is not None:
            raise _played_error()
        return replace(claim, started_at=stored.started_at, player_name=stored.player_name)

    def prepare_answer(
        self, attempt: AttemptInPlay, item_id: int, choices: Sequence[int], sequence: int | None
    ) -> SaveAnswers:
        """Return the entry to write for an answer, and count a write of its player; nothing is read.

        `sequence` is the client's own number of the choice, if it has given one.

        Raises:
            NotFoundError, InvalidInputError: when the item or a choice is not of the quiz.
            QuizNotOpenError, AttemptFinishedError: as `AnswerWriter.prepare_save`.
            QuotaExceededError: when the player writes too often.
        """
        claim, version = attempt
        self.rate_limiter.acquire(claim.player_id)
        self.time_limits.require_time_left(claim.started_at, version)
        chosen = scoring.as_bits(version.document.question(item_id), choices)
        return self.writer.prepare_save(claim, version, {item_id: chosen}, sequence)

    def save(self, claim: AttemptClaim, version: PublishedVersion, chosen: Mapping[int, int]) -> None:
        """Store the answers of a form (item → chosen bits), all or none.

        Raises:
            QuizNotOpenError, AttemptFinishedError, AttemptExistsError, BusyError: as `AnswerWriter.save`.
        """
        self.time_limits.require_time_left(claim.started_at, version)
        self.writer.save(claim, version, chosen)

    def prepare_finish(self, attempt: AttemptInPlay) -> FinishAttempt:
        """Return the entry to write for a finish, and count a write of its player.

        Raises:
            QuotaExceededError: when the player writes too often.
        """
        claim, version = attempt
        self.rate_limiter.acquire(claim.player_id)
        return FinishAttempt(claim, version.document)

    def finished_view(self, attempt: AttemptInPlay, state: AttemptState) -> AttemptView:
        """Return a finished attempt with its rank on the leaderboard."""
        claim, version = attempt
        rank = presenter.find_rank(self.standings(version), state)
        return presenter.build_view(claim, self.snapshot(version, state), rank)

    def read(self, claim: AttemptClaim) -> AttemptSnapshot:
        """Return an attempt as it is stored; where its time is over, what is stored is scored first.

        Raises:
            AttemptErasedError: when its player has erased it.
        """
        version = self.quiz_cache.by_version(claim.version_id)
        state = self._load(claim)
        if self.time_limits.is_over(claim.started_at, version):
            if state.finished_at is None:
                self.scorer.score_attempt(claim, version)
                state = self._load(claim)
            state = when_over(state, claim.started_at)
        return self.snapshot(version, state)

    def snapshot(self, version: PublishedVersion, state: AttemptState) -> AttemptSnapshot:
        """Return an attempt with what its player may see of it now."""
        return AttemptSnapshot(version, state, shows_answers=self.time_limits.shows_answers(version))

    def standings(self, version: PublishedVersion) -> Leaderboard:
        """Return the leaderboard of a version; attempts whose time is over are scored first."""
        self.settle(version)
        return self.leaderboards.get(version.version_id)

    def settle_latest(self, quiz: QuizId | Slug) -> None:
        """Score attempts at the latest version of a quiz whose time is over, before its results are read.

        Raises:
            NotFoundError: when there is no such quiz.
        """
        self.settle(self.quiz_cache.current(quiz), SETTLE_TIMEOUT)

    def settle(self, version: PublishedVersion, wait: float = 0.0) -> None:
        """Score attempts at a version whose time is over; while it is open and has an end, nothing is read."""
        if self.scorer.settle(version, wait):
            self.leaderboards.invalidate(version.version_id)

    def _load(self, claim: AttemptClaim) -> AttemptState:
        with self.connect() as connection:
            state = answer_store.load_state(connection, claim)
        if state.is_erased:
            raise erased_error()
        return state

    def load_data(self, claim: AttemptClaim) -> StoredData:
        """Return all that is stored of an attempt.

        Raises:
            AttemptErasedError: when its player has erased it.
        """
        with self.connect() as connection:
            return erasure.load_data(connection, claim.attempt_id)

    def forget(self, claim: AttemptClaim) -> None:
        """Drop what this worker remembers of an attempt that was erased; the others see it within a second or two."""
        self.writer.forget(claim.attempt_id)
        self.leaderboards.invalidate(claim.version_id)

    def leaderboard(self, quiz: QuizId | Slug) -> tuple[PublishedVersion, Leaderboard]:
        """Return the leaderboard of a quiz's latest version.

        Raises:
            NotFoundError: when there is no such quiz.
        """
        version = self.quiz_cache.current(quiz)
        return version, self.standings(version)


def get_attempt_service(app: Any) -> AttemptService:
    """Return the attempt service of a Flask app."""
    return cast("AttemptService", app.extensions["attempt_service"])


def _played_error() -> AttemptFinishedError:
    return AttemptFinishedError("You have finished this quiz; it is played once.")


def begin_attempt(version: PublishedVersion, player_id: UUID, player_name: str) -> AttemptClaim:
    """Begin an attempt at a version; it starts at the version's `now`, by the database's clock.

    Raises:
        QuizNotOpenError: when the window was not open then.
    """
    if error := published.not_open_error(version):
        raise error
    return tokens.new_claim(version.version_id, player_id, player_name, version.now)
