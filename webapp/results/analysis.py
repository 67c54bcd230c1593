"""Item analysis: statistics of questions, computed from sums over combinations of choices. Pure functions.

Facility is the points that were reached as a share of those that could be. Discrimination is the corrected item-total
correlation: Pearson's correlation between the points of the question and the points of all other questions of the same
attempt; where a question has one point it is the point-biserial one (S. Henrysson, Correction of item-total
correlations in item analysis, Psychometrika 28, 1963). Both are of scored attempts; no answer is a wrong one, but to a
question that is drawn for each player: there they are of the attempts that have answered it.

All sums are whole numbers, so nothing is lost by subtracting large ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

from webapp.attempts.attempt_stats import AttemptTotals, ChoiceCount
from webapp.attempts.scoring import as_positions, is_right
from webapp.quizzes.documents import Question, QuizDocument

MIN_SCORED = 20
"""Scored attempts without which nothing is said about the key."""
MIN_CORRELATION = 0.2
"""What a wrong choice must reach; of a good question the right answer does (R. L. Ebel, 1965)."""


@dataclass(frozen=True)
class ChoiceResult:
    """A choice, how many players chose it, and how it goes with their points for the other questions."""

    text: str
    right: bool
    count: int
    correlation: float | None = None


@dataclass(frozen=True)
class QuestionResult:
    """How a question was answered; `share_right` is None when no one answered it."""

    item: int
    stem: str
    answered: int
    right: int
    choices: tuple[ChoiceResult, ...]
    facility: float | None = None
    discrimination: float | None = None
    better_choice: int | None = None
    """The position of a choice that is probably the right one, so that the key is wrong; None where nothing says so."""

    @property
    def share_right(self) -> float | None:
        """Right answers as a share of all answers, 0 to 1."""
        return self.right / self.answered if self.answered else None


def summarize_questions(
    document: QuizDocument, choice_counts: Iterable[ChoiceCount], totals: AttemptTotals
) -> tuple[QuestionResult, ...]:
    """Return how each question of the document was answered."""
    grouped: dict[int, list[ChoiceCount]] = {}
    for choice_count in choice_counts:
        grouped.setdefault(choice_count.item_id, []).append(choice_count)
    common = {question.item_id for question in document.common_questions}
    return tuple(
        _summarize(question, grouped.get(question.item_id, []), totals, is_common=question.item_id in common)
        for question in document.questions
    )


def _totals_of(group: Sequence[ChoiceCount]) -> AttemptTotals:
    """Return the totals of those who have answered a question: not all attempts have one that is drawn."""
    score_sum, square_sum = (sum(getattr(each, name) for each in group) for name in ("score_sum", "square_sum"))
    return AttemptTotals(0, sum(each.scored for each in group), None, None, score_sum, square_sum)


def _summarize(
    question: Question, group: Sequence[ChoiceCount], totals: AttemptTotals, *, is_common: bool
) -> QuestionResult:
    sums = _ItemSums.of(question, group, totals if is_common else _totals_of(group))
    choices = tuple(
        ChoiceResult(text, position in question.right, _count_of(group, position), sums.choice_correlation(position))
        for position, text in enumerate(question.choices)
    )
    discrimination = sums.discrimination()
    return QuestionResult(
        question.item_id,
        question.stem,
        answered=sum(each.count for each in group),
        right=sum(each.count for each in group if is_right(question, each.chosen)),
        choices=choices,
        facility=sums.facility(),
        discrimination=discrimination,
        better_choice=_find_better(choices, discrimination) if sums.attempts >= MIN_SCORED else None,
    )


def _count_of(group: Iterable[ChoiceCount], position: int) -> int:
    return sum(each.count for each in group if position in as_positions(each.chosen))


def _find_better(choices: Sequence[ChoiceResult], discrimination: float | None) -> int | None:
    """Return the choice of those who did well in the rest, where those who chose the right answer did badly."""
    if discrimination is None or discrimination >= 0:
        return None
    wrong = [(choice.correlation or 0.0, position) for position, choice in enumerate(choices) if not choice.right]
    correlation, position = max(wrong, default=(0.0, 0))
    return position if correlation >= MIN_CORRELATION else None


@dataclass(frozen=True)
class _Combination:
    """The scored attempts with exactly these choices: their number, their points here, and the sum of their scores."""

    chosen: int
    attempts: int
    points: int
    score_sum: int


@dataclass(frozen=True)
class _ItemSums:
    """Sums over the scored attempts that had a question: x its points, r those of the rest, the score without x."""

    attempts: int
    max_points: int
    combinations: tuple[_Combination, ...]
    x: int
    xx: int
    r: int
    rr: int

    @classmethod
    def of(cls, question: Question, group: Iterable[ChoiceCount], totals: AttemptTotals) -> _ItemSums:
        max_points = question.points
        combinations = tuple(
            _Combination(each.chosen, each.scored, max_points if is_right(question, each.chosen) else 0, each.score_sum)
            for each in group
            if each.scored
        )
        x = sum(each.points * each.attempts for each in combinations)
        xx = sum(each.points**2 * each.attempts for each in combinations)
        x_score = sum(each.points * each.score_sum for each in combinations)
        rr = totals.square_sum - 2 * x_score + xx
        return cls(totals.finished, max_points, combinations, x, xx, totals.score_sum - x, rr)

    def facility(self) -> float | None:
        return self.x / (self.attempts * self.max_points) if self.attempts else None

    def discrimination(self) -> float | None:
        x_r = sum(each.points * (each.score_sum - each.points * each.attempts) for each in self.combinations)
        return self._correlation(self.x, self.xx, x_r)

    def choice_correlation(self, position: int) -> float | None:
        """Return how to have chosen this goes with the rest."""
        chosen = [each for each in self.combinations if position in as_positions(each.chosen)]
        count = sum(each.attempts for each in chosen)
        return self._correlation(count, count, sum(each.score_sum - each.points * each.attempts for each in chosen))

    def _correlation(self, y: int, yy: int, y_r: int) -> float | None:
        """Return Pearson's correlation of y and the rest; None where one of them is the same in all attempts."""
        variances = (self.attempts * yy - y**2) * (self.attempts * self.rr - self.r**2)
        return (self.attempts * y_r - y * self.r) / sqrt(variances) if variances > 0 else None
