"""Until when an attempt takes answers: for its own time, as long as its quiz does, or for a stated time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from webapp.errors import AttemptFinishedError, AttemptTimeOverError
from webapp.messages import message
from webapp.quizzes.published import VersionSummary
from webapp.quizzes.rules import QuizRules

CLOSE_MARGIN = timedelta(seconds=2)
"""So long after the end of a window or of an attempt answers are refused without the database, whose clock decides."""


@dataclass(frozen=True)
class TimeLimits:
    """The settings of this installation that bound attempts, in seconds."""

    grace: int
    """After the end of a window, for what was sent before it."""
    ttl: int
    """From the start of an attempt at a quiz that has no end."""
    keep_days: int = 0
    """Days for which attempts are kept at most after they are over; 0: no limit."""

    def answers_until(self, started_at: datetime, version: VersionSummary) -> datetime:
        """Return when an attempt takes no more answers, as the rules are now."""
        ends_at = version.rules.ends_at(started_at)
        until = datetime.max.replace(tzinfo=UTC) if ends_at is None else ends_at + timedelta(seconds=self.grace)
        return until if version.closes_at is not None else min(until, started_at + timedelta(seconds=self.ttl))

    def is_over(self, started_at: datetime, version: VersionSummary) -> bool:
        """Say whether an attempt takes no more answers at the version's `now`."""
        return version.now >= self.answers_until(started_at, version)

    def seconds_left(self, started_at: datetime, version: VersionSummary) -> int:
        """Return for how many seconds more an attempt takes answers."""
        return max(0, int((self.answers_until(started_at, version) - version.now).total_seconds()))

    def seconds_to_end(self, started_at: datetime, version: VersionSummary) -> int | None:
        """Return for how many seconds more a player should answer, without the grace; None where nothing ends it."""
        ends_at = version.rules.ends_at(started_at)
        return None if ends_at is None else max(0, int((ends_at - version.now).total_seconds()))

    def require_time_left(self, started_at: datetime, version: VersionSummary) -> None:
        """Refuse an answer to an attempt that was begun too long ago; the end of a window is judged by the writer.

        Near the end of an attempt's own time the database's clock decides, in the statement that writes.

        Raises:
            AttemptTimeOverError: when the time that the quiz's author has set is over beyond doubt.
            AttemptFinishedError: when the quiz has no end, and neither has the attempt, but it was begun long ago.
        """
        age, time_limit = version.now - started_at, version.rules.time_limit
        if time_limit is not None and age >= timedelta(seconds=time_limit + self.grace) + CLOSE_MARGIN:
            raise time_over_error()
        if version.closes_at is None and age >= timedelta(seconds=self.ttl):
            raise AttemptFinishedError(
                message(
                    "Without an end of the quiz an attempt takes answers for %(hours)s h; what was stored counts.",
                    hours=self.ttl // 3600,
                )
            )

    def kept_days(self, rules: QuizRules) -> int | None:
        """Return for how many days attempts are kept after they are over; None: until somebody deletes them.

        The shorter one of the periods of the author and of the operator.
        """
        return min((days for days in (rules.keep_days, self.keep_days) if days), default=None)

    def shows_answers(self, version: VersionSummary) -> bool:
        """Say whether players who have finished may see the right answers at the version's `now`."""
        return version.rules.shows_answers(version.now, timedelta(seconds=self.grace))


def time_over_error() -> AttemptTimeOverError:
    """Return the error of an answer that was sent after its attempt's own time."""
    return AttemptTimeOverError(
        "The time for this attempt is over; this answer came too late and was not saved. What was saved before counts."
    )
