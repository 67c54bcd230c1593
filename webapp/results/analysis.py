"""Statistics of questions, computed from counts of choices. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from webapp.attempts.attempt_stats import ChoiceCount
from webapp.attempts.scoring import as_positions, is_right
from webapp.quizzes.documents import QuizDocument


@dataclass(frozen=True)
class ChoiceResult:
    """A choice, and how many players chose it."""

    text: str
    right: bool
    count: int


@dataclass(frozen=True)
class QuestionResult:
    """How a question was answered; `share_right` is None when no one answered it."""

    item: int
    stem: str
    answered: int
    right: int
    choices: tuple[ChoiceResult, ...]

    @property
    def share_right(self) -> float | None:
        """Right answers as a share of all answers, 0 to 1."""
        return self.right / self.answered if self.answered else None


def summarize_questions(document: QuizDocument, choice_counts: Iterable[ChoiceCount]) -> tuple[QuestionResult, ...]:
    """Return how each question of the document was answered."""
    grouped: dict[int, list[ChoiceCount]] = {}
    for choice_count in choice_counts:
        grouped.setdefault(choice_count.item_id, []).append(choice_count)
    results = []
    for question in document.questions:
        group = grouped.get(question.item_id, [])
        counts = [0] * len(question.choices)
        for choice_count in group:
            for position in as_positions(choice_count.chosen):
                counts[position] += choice_count.count
        choices = tuple(
            ChoiceResult(text, position in question.right, counts[position])
            for position, text in enumerate(question.choices)
        )
        right = sum(choice_count.count for choice_count in group if is_right(question, choice_count.chosen))
        answered = sum(choice_count.count for choice_count in group)
        results.append(QuestionResult(question.item_id, question.stem, answered, right, choices))
    return tuple(results)
