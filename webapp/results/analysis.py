"""From counts to what an author wants to know. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from webapp.attempts.attempt_stats import ChoiceCount
from webapp.attempts.scoring import as_positions, is_right
from webapp.quizzes.documents import QuizDocument


@dataclass(frozen=True)
class ChoiceResult:
    """How many chose this."""

    text: str
    right: bool
    count: int


@dataclass(frozen=True)
class QuestionResult:
    """How a question was answered; `share_right` is None when nobody answered it."""

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
    for tally in choice_counts:
        grouped.setdefault(tally.item_id, []).append(tally)
    results = []
    for question in document.questions:
        own = grouped.get(question.item_id, [])
        counts = [0] * len(question.choices)
        for tally in own:
            for position in as_positions(tally.chosen):
                counts[position] += tally.count
        choices = tuple(
            ChoiceResult(text, position in question.right, counts[position])
            for position, text in enumerate(question.choices)
        )
        right = sum(tally.count for tally in own if is_right(question, tally.chosen))
        answered = sum(tally.count for tally in own)
        results.append(QuestionResult(question.item_id, question.stem, answered, right, choices))
    return tuple(results)
