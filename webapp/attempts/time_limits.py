"""Until when an attempt takes answers: as long as its quiz does, and where that has no end, for a stated time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from webapp.errors import AttemptFinishedError
from webapp.messages import message
from webapp.quizzes.published import VersionSummary
from webapp.quizzes.rules import QuizRules


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
        if version.closes_at is None:
            return started_at + timedelta(seconds=self.ttl)
        return version.closes_at + timedelta(seconds=self.grace)

    def is_over(self, started_at: datetime, version: VersionSummary) -> bool:
        """Say whether an attempt takes no more answers at the version's `now`."""
        return version.now >= self.answers_until(started_at, version)

    def seconds_left(self, started_at: datetime, version: VersionSummary) -> int:
        """Return for how many seconds more an attempt takes answers."""
        return max(0, int((self.answers_until(started_at, version) - version.now).total_seconds()))

    def require_time_left(self, started_at: datetime, version: VersionSummary) -> None:
        """Refuse an answer to an attempt that was begun too long ago; the end of a window is judged by the writer.

        Raises:
            AttemptFinishedError: when the quiz has no end, and the attempt's own time is over.
        """
        if version.closes_at is None and self.is_over(started_at, version):
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
