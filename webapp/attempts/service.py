"""What a player does, over REST, pages and fast routes alike: start, answer, finish, read the leaderboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from poolproof.transactions.unit_of_work import ConnectionFactory
from webapp.attempts import answer_store, attempt_start, erasure, presenter, scoring, tokens
from webapp.attempts.answer_store import AttemptState, when_over
from webapp.attempts.answer_writer import AnswerWriter
from webapp.attempts.attempt_start import begin_attempt
from webapp.attempts.batch_writes import FinishAttempt, SaveAnswers
from webapp.attempts.counting import counting_of
from webapp.attempts.erasure import StoredData
from webapp.attempts.leaderboard_cache import Leaderboard, LeaderboardCache
from webapp.attempts.overdue_scorer import OverdueScorer
from webapp.attempts.presenter import AttemptSnapshot, AttemptView
from webapp.attempts.question_order import questions_of
from webapp.attempts.rate_limit import PlayerRateLimiter
from webapp.attempts.refusals import erased_error
from webapp.attempts.time_limits import TimeLimits
from webapp.attempts.tokens import AttemptClaim, PlayerClaim
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
    seconds_to_end: int | None
    """For how long its player should answer: without the grace; None where nothing ends it."""
    item_ids: Sequence[int]
    """Its questions' items, in the order to show them."""


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

        A player who starts again goes on with the attempt that is stored, or begins the next one where the quiz allows
        several: the last attempt that is stored is all that is read.

        Raises:
            NotFoundError: when there is no such quiz.
            QuizNotOpenError: outside of its window.
            AttemptFinishedError: when the player has finished the last attempt, or its time is over.
            AttemptTimeOverError: when the time of the only attempt is over without an answer.
            AttemptPauseError: when the next attempt has to wait.
            AttemptErasedError: when the player has erased it.
        """
        version = self.quiz_cache.current(quiz)
        player = player or PlayerClaim(tokens.new_player_id())
        claim = begin_attempt(version, player.player_id, name)
        if version.version_id in player.started or self.writer.knows_finished(claim.attempt_id):
            claim = self._go_on(version, player, name)
        if self.writer.knows_finished(claim.attempt_id):
            raise attempt_start.played_error(version.rules.max_attempts)
        self.time_limits.require_time_left(claim.started_at, version)
        known = attempt_start.remember_start(player, claim, version)
        questions = questions_of(version.document, version.rules, claim.seed)
        return StartedAttempt(
            claim,
            tokens.issue(claim, self.signing_key),
            tokens.issue_player_token(known, self.signing_key),
            self.time_limits.seconds_left(claim.started_at, version),
            self.time_limits.seconds_to_end(claim.started_at, version),
            [question.item_id for question in questions],
        )

    def issue_token(self, version: PublishedVersion, player: PlayerClaim, name: str) -> str:
        """Return a token of a player's last attempt at a version, whatever its state is.

        Raises:
            QuizNotOpenError: outside of its window.
        """
        return tokens.issue(
            begin_attempt(version, player.player_id, name, version.rules.max_attempts), self.signing_key
        )

    def _go_on(self, version: PublishedVersion, player: PlayerClaim, name: str) -> AttemptClaim:
        with self.connect() as connection:
            stored = answer_store.find_last_attempt(connection, version.version_id, player.player_id)
        return attempt_start.next_attempt(version, player, name, stored, self.time_limits)

    def prepare_answer(
        self, attempt: AttemptInPlay, item_id: int, choices: Sequence[int], sequence: int | None
    ) -> SaveAnswers:
        """Return the entry to write for an answer, and count a write of its player; nothing is read.

        `sequence` is the client's own number of the choice, if it has given one.

        Raises:
            NotFoundError, InvalidInputError: when the item or a choice is not of the quiz.
            QuizNotOpenError, AttemptFinishedError: as `AnswerWriter.prepare_save`.
            AttemptTimeOverError: when the attempt's own time is over.
            QuotaExceededError: when the player writes too often.
        """
        claim, version = attempt
        self.rate_limiter.acquire(claim.player_id)
        self.time_limits.require_time_left(claim.started_at, version)
        chosen = scoring.as_bits(version.document.question_for(claim.seed, item_id), choices)
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
        started_at = state.started_at or claim.started_at
        if self.time_limits.is_over(started_at, version):
            if state.finished_at is None:
                self.scorer.score_attempt(claim, version)
                state = self._load(claim)
            state = when_over(state, started_at)
        return self.snapshot(version, state)

    def snapshot(self, version: PublishedVersion, state: AttemptState) -> AttemptSnapshot:
        """Return an attempt with what its player may see of it now."""
        return AttemptSnapshot(version, state, shows_answers=self.time_limits.shows_answers(version))

    def standings(self, version: PublishedVersion) -> Leaderboard:
        """Return the leaderboard of a version; attempts whose time is over are scored first."""
        self.settle(version)
        return self.leaderboards.get(version.version_id, counting_of(version.rules))

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
