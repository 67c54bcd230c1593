"""The results of a quiz's latest version, as of one moment."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import Connection

from webapp.attempts import attempt_stats, player_rows
from webapp.attempts.attempt_stats import AttemptTotals, ChoiceCount
from webapp.attempts.counting import counting_of
from webapp.attempts.player_rows import PlayerPage
from webapp.quizzes import published
from webapp.quizzes.published import PublishedVersion, QuizId
from webapp.results.analysis import QuestionResult, summarize_questions

PLAYERS = 25
"""Players in a report; the others are on pages of their own."""


@dataclass(frozen=True)
class QuizReport:
    """Totals, the first players, and how each question was answered."""

    version: PublishedVersion
    totals: AttemptTotals
    deleted: AttemptTotals | None
    """Totals of attempts that were deleted after their period; they are in nothing else."""
    choice_counts: Sequence[ChoiceCount]
    players: PlayerPage

    @cached_property
    def questions(self) -> Sequence[QuestionResult]:
        """How each question was answered; computed on first use, after the connection was returned."""
        return summarize_questions(self.version.document, self.choice_counts, self.totals)

    @cached_property
    def tag(self) -> str:
        """A digest of everything in the report: equal for equal results."""
        version = self.version.version_id, self.version.state, self.version.rules
        content = repr((version, self.totals, self.deleted, self.choice_counts, self.players))
        return hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()[:24]


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
        attempt_stats.deleted_totals(connection, version.version_id),
        attempt_stats.count_choices(connection, version.version_id, counting),
        player_rows.list_best(connection, version.version_id, None, PLAYERS, counting),
    )
