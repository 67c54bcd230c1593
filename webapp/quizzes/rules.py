"""The rules of a quiz: what its author may change after the publication, without a new version. Pure functions.

A further rule is a field of `QuizRules` and of `RuleChanges`, a column of the same name, and a field of the schemas.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypedDict

from webapp.errors import InvalidInputError
from webapp.messages import message

MAX_KEEP_DAYS = 36_600
"""A hundred years."""
MAX_WINDOW_TIME = datetime(9000, 1, 1, tzinfo=UTC)
MIN_TIME_LIMIT = 10
MAX_TIME_LIMIT = 7 * 24 * 3600
"""Seconds."""
MAX_ATTEMPTS = 20
"""Of one player at one version."""
MAX_ATTEMPT_PAUSE = 30 * 24 * 3600
"""Seconds."""


class AnswersShown(StrEnum):
    """When a player who has finished sees the right answers."""

    AFTER_CLOSING = "after_closing"
    AFTER_FINISHING = "after_finishing"
    NEVER = "never"


class CountedAttempt(StrEnum):
    """Which of a player's attempts is in results and leaderboard, where a player may have several."""

    EARLIEST = "first"
    BEST = "best"
    FINAL = "last"


@dataclass(frozen=True)
class QuizRules:
    """The rules of a published quiz, the same for all of its versions."""

    title: str
    opens_at: datetime
    closes_at: datetime | None
    """None: it has no end."""
    chosen_answers_shown: AnswersShown | None
    """What the author has chosen; None: see `answers_shown`."""
    is_unlisted: bool = False
    """Whether it is open only to players who have its address or its join code."""
    keep_days: int | None = None
    """Days for which attempts are kept after they are over; None: as long as the operator allows."""
    time_limit: int | None = None
    """Seconds from the start of an attempt for which it takes answers; None: as long as the quiz does."""
    shuffles_questions: bool = False
    shuffles_choices: bool = True
    max_attempts: int = 1
    """How often a player may play."""
    counted_attempt: CountedAttempt = CountedAttempt.BEST
    attempt_pause: int = 0
    """Seconds from the end of an attempt to the start of the next one."""

    @property
    def answers_shown(self) -> AnswersShown:
        """When right answers are shown: without a choice after closing, and where there is no end, after finishing."""
        if self.chosen_answers_shown is not None:
            return self.chosen_answers_shown
        return AnswersShown.AFTER_FINISHING if self.closes_at is None else AnswersShown.AFTER_CLOSING

    def has_closed(self, now: datetime, grace: timedelta = timedelta(0)) -> bool:
        """Say whether the window, and then `grace`, is over."""
        return self.closes_at is not None and now >= self.closes_at + grace

    def ends_at(self, started_at: datetime) -> datetime | None:
        """Return when an attempt ends that has started then: by its own time or with the quiz; None without either."""
        if self.time_limit is None:
            return self.closes_at
        own_end = started_at + timedelta(seconds=self.time_limit)
        return own_end if self.closes_at is None else min(own_end, self.closes_at)

    def shows_answers(self, now: datetime, grace: timedelta) -> bool:
        """Say whether a player who has finished may see the right answers."""
        if self.answers_shown is AnswersShown.AFTER_CLOSING:
            return self.has_closed(now, grace)
        return self.answers_shown is AnswersShown.AFTER_FINISHING


class RuleChanges(TypedDict, total=False):
    """New values of some rules; a rule that is absent stays as it is."""

    title: str
    opens_at: datetime
    closes_at: datetime | None
    chosen_answers_shown: AnswersShown | None
    is_unlisted: bool
    keep_days: int | None
    time_limit: int | None
    shuffles_questions: bool
    shuffles_choices: bool
    max_attempts: int
    counted_attempt: CountedAttempt
    attempt_pause: int


def apply_changes(rules: QuizRules, changes: RuleChanges, now: datetime) -> QuizRules:
    """Return the rules with changes; `now` is the database's time.

    Raises:
        InvalidInputError: when the window would be empty, would end in the past, or lies too far in the future; when
            a number is too small or too large.
    """
    changed = replace(rules, **changes)
    _validate_numbers(changed)
    opens_at, closes_at = changed.opens_at, changed.closes_at
    if opens_at > MAX_WINDOW_TIME or (closes_at or now) > MAX_WINDOW_TIME:
        raise InvalidInputError("The window lies too far in the future.")
    if closes_at is not None and closes_at <= opens_at:
        raise InvalidInputError("The quiz must open before it closes.")
    if closes_at != rules.closes_at and changed.has_closed(now):
        raise InvalidInputError(
            message("The time of closing has passed already; the database's clock says %(time)s.", time=now)
        )
    return changed


def _validate_numbers(rules: QuizRules) -> None:
    if rules.time_limit is not None and not MIN_TIME_LIMIT <= rules.time_limit <= MAX_TIME_LIMIT:
        raise InvalidInputError(
            message(
                "The time for an attempt is %(minimum)s to %(maximum)s seconds.",
                minimum=MIN_TIME_LIMIT,
                maximum=MAX_TIME_LIMIT,
            )
        )
    if not 1 <= rules.max_attempts <= MAX_ATTEMPTS:
        raise InvalidInputError(message("A player has 1 to %(maximum)s attempts.", maximum=MAX_ATTEMPTS))
    if not 0 <= rules.attempt_pause <= MAX_ATTEMPT_PAUSE:
        raise InvalidInputError(
            message("The pause between attempts is 0 to %(maximum)s seconds.", maximum=MAX_ATTEMPT_PAUSE)
        )
