"""The results of a quiz's latest version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import Connection

from webapp.attempts import attempt_stats, leaderboard
from webapp.attempts.attempt_stats import AttemptTotals, ChoiceCount
from webapp.attempts.counting import counting_of
from webapp.attempts.leaderboard import RankedResult
from webapp.quizzes import published
from webapp.quizzes.published import PublishedVersion, QuizId
from webapp.results.analysis import QuestionResult, summarize_questions


@dataclass(frozen=True)
class QuizReport:
    """Totals, the leaderboard, and how each question was answered."""

    version: PublishedVersion
    totals: AttemptTotals
    leaderboard: Sequence[RankedResult]
    choice_counts: Sequence[ChoiceCount]

    @cached_property
    def questions(self) -> Sequence[QuestionResult]:
        """How each question was answered; computed on first use, after the connection was returned."""
        return summarize_questions(self.version.document, self.choice_counts)


def load_report(connection: Connection, quiz_id: int) -> QuizReport:
    """Read the results of a quiz.

    Raises:
        NotFoundError: when the quiz was never published.
    """
    version = published.current(connection, QuizId(quiz_id))
    counting = counting_of(version.rules)
    return QuizReport(
        version,
        attempt_stats.count_attempts(connection, version.version_id, counting),
        leaderboard.top_places(connection, version.version_id, counting=counting),
        attempt_stats.count_choices(connection, version.version_id, counting),
    )
