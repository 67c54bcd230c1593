"""The results of a quiz's latest version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import Connection

from webapp.attempts import leaderboard, tallies
from webapp.attempts.leaderboard import Place
from webapp.attempts.tallies import Tally, Totals
from webapp.quizzes import published
from webapp.quizzes.published import QuizId, Version
from webapp.results.analysis import QuestionResult, by_question


@dataclass(frozen=True)
class Report:
    """Totals, the board, and how each question was answered."""

    version: Version
    totals: Totals
    places: Sequence[Place]
    tallies: Sequence[Tally]

    @cached_property
    def questions(self) -> Sequence[QuestionResult]:
        """How each question was answered; worked out when asked for, with the connection long back."""
        return by_question(self.version.document, self.tallies)


def report(connection: Connection, quiz_id: int) -> Report:
    """Gather the results of a quiz.

    Raises:
        NotFoundError: when the quiz was never published.
    """
    version = published.current(connection, QuizId(quiz_id))
    return Report(
        version,
        tallies.totals(connection, version.version_id),
        leaderboard.top(connection, version.version_id),
        tallies.choices_by_item(connection, version.version_id),
    )
