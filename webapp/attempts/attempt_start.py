"""With which attempt a player begins, or goes on, at a quiz. Pure functions of what is stored and of the rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from webapp.attempts import tokens
from webapp.attempts.answer_store import StoredAttempt
from webapp.attempts.refusals import erased_error
from webapp.attempts.time_limits import TimeLimits
from webapp.attempts.tokens import AttemptClaim, PlayerClaim
from webapp.errors import AttemptFinishedError, AttemptPauseError, AttemptTimeOverError
from webapp.messages import message
from webapp.quizzes import published
from webapp.quizzes.published import PublishedVersion


def begin_attempt(version: PublishedVersion, player_id: UUID, player_name: str, number: int = 1) -> AttemptClaim:
    """Begin an attempt at a version; it starts at the version's `now`, by the database's clock.

    Raises:
        QuizNotOpenError: when the window was not open then.
    """
    if error := published.not_open_error(version):
        raise error
    return tokens.new_claim(version.version_id, player_id, player_name, version.now, number)


def next_attempt(
    version: PublishedVersion, player: PlayerClaim, name: str, stored: StoredAttempt | None, limits: TimeLimits
) -> AttemptClaim:
    """Return the attempt of a player who has started before: the one that goes on, or the next one.

    Args:
        version: The version, as of now.
        player: The player, with the versions that were started.
        name: The name that the player has given now.
        stored: The player's last attempt at the version; None where no answer was stored.
        limits: Until when attempts take answers.

    Raises:
        QuizNotOpenError: outside of the window.
        AttemptTimeOverError: when the time of the only attempt is over without an answer.
        AttemptFinishedError: when the player has no attempt left.
        AttemptErasedError: when the player has erased the last attempt, and none is left.
        AttemptPauseError: when the next attempt has to wait.
    """
    if stored is None:
        return _begin_again(version, player, name, limits)
    claim = begin_attempt(version, player.player_id, stored.player_name, stored.number)
    if stored.finished_at is None and not limits.is_over(stored.started_at, version):
        return replace(claim, started_at=stored.started_at)
    if stored.number >= version.rules.max_attempts and stored.erased_at is not None:
        raise erased_error()
    if stored.number >= version.rules.max_attempts:
        raise played_error(version.rules.max_attempts)
    _require_pause(version, stored)
    claim = begin_attempt(version, player.player_id, name, stored.number + 1)
    started_at = player.started_at.get(version.version_id)
    if started_at is None or version.rules.time_limit is None or started_at < _end_of(version, stored):
        return claim
    # It was started already, and nothing of it is stored: its time does not begin anew before it is over.
    return claim if limits.is_over(started_at, version) else replace(claim, started_at=started_at)


def played_error(max_attempts: int) -> AttemptFinishedError:
    """Return the error of a start after the last attempt."""
    if max_attempts == 1:
        return AttemptFinishedError("You have finished this quiz; it is played once.")
    return AttemptFinishedError(
        message("You have finished this quiz; it is played %(count)s times.", count=max_attempts)
    )


def remember_start(player: PlayerClaim, claim: AttemptClaim, version: PublishedVersion) -> PlayerClaim:
    """Return the player with this start, so that the time of an attempt does not begin anew with the next one."""
    version_id = version.version_id
    others = tuple(started for started in player.started if started != version_id)
    started_at = {started: moment for started, moment in player.started_at.items() if started in others}
    if version.rules.time_limit is not None:
        started_at[version_id] = claim.started_at
    return PlayerClaim(player.player_id, (*others, version_id), started_at)


def _begin_again(version: PublishedVersion, player: PlayerClaim, name: str, limits: TimeLimits) -> AttemptClaim:
    claim = begin_attempt(version, player.player_id, name)
    started_at = player.started_at.get(version.version_id)
    if started_at is None or version.rules.time_limit is None:
        return claim
    if not limits.is_over(started_at, version):
        return replace(claim, started_at=started_at)
    if version.rules.max_attempts == 1:
        raise AttemptTimeOverError("The time for your attempt is over, and no answer of yours was stored.")
    # What was not stored is no attempt.
    return claim


def _require_pause(version: PublishedVersion, stored: StoredAttempt) -> None:
    may_start_at = _end_of(version, stored) + timedelta(seconds=version.rules.attempt_pause)
    if version.now < may_start_at:
        raise AttemptPauseError(message("You can begin the next attempt on %(time)s.", time=may_start_at))


def _end_of(version: PublishedVersion, stored: StoredAttempt) -> datetime:
    """Return when a stored attempt has ended."""
    return stored.finished_at or version.rules.ends_at(stored.started_at) or stored.started_at
