"""Which of a player's attempts counts: the one that is in results and leaderboard, by a rule of the quiz."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.orm import aliased

from webapp.attempts.models import Attempt
from webapp.quizzes.rules import CountedAttempt, QuizRules


def counting_of(rules: QuizRules) -> CountedAttempt:
    """Return which attempt counts; where a player has one, the first, whatever there was under former rules."""
    return rules.counted_attempt if rules.max_attempts > 1 else CountedAttempt.EARLIEST


def is_counted(counting: CountedAttempt) -> ColumnElement[bool]:
    """Return a condition on attempts: it is the one of its player that counts.

    One without a score counts only where its player has none that is scored. The other attempts of the player at the
    version, a few, are found by the index of players.
    """
    if counting is CountedAttempt.EARLIEST:
        return Attempt.number == 1
    other = aliased(Attempt)
    is_better = _is_later(other) if counting is CountedAttempt.FINAL else _is_better(other)
    is_preferred = or_(Attempt.score.is_(None), is_better)
    of_player = and_(other.quiz_version_id == Attempt.quiz_version_id, other.player_id == Attempt.player_id)
    return ~exists(
        select(other.id)
        .where(of_player, other.score.is_not(None), other.id != Attempt.id, is_preferred)
        .correlate(Attempt)
    )


def _is_later(other: Any) -> ColumnElement[bool]:
    later: ColumnElement[bool] = other.number > Attempt.number
    return later


def _is_better(other: Any) -> ColumnElement[bool]:
    """Compare as the leaderboard does; of equal ones the first counts."""
    is_faster = or_(
        other.milliseconds < Attempt.milliseconds,
        and_(other.milliseconds == Attempt.milliseconds, other.number < Attempt.number),
    )
    return or_(other.score > Attempt.score, and_(other.score == Attempt.score, is_faster))
