"""Scoring, and choices as bits. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from webapp.bank.item_kinds import Kind
from webapp.errors import InvalidInputError
from webapp.messages import message
from webapp.quizzes.documents import Question, QuizDocument


def as_bits(question: Question, choices: Iterable[int]) -> int:
    """Return chosen positions as a number: bit n is set when choice n was chosen.

    Raises:
        InvalidInputError: for a position that does not exist, or the wrong count for the kind.
    """
    chosen = set(choices)
    if any(not 0 <= position < len(question.choices) for position in chosen):
        raise InvalidInputError(
            message(
                "Item %(item)s has the choices 0 to %(last)s.", item=question.item_id, last=len(question.choices) - 1
            )
        )
    if question.kind == Kind.MULTIPLE:
        if not chosen:
            raise InvalidInputError(message("Choose at least one answer to item %(item)s.", item=question.item_id))
    elif len(chosen) != 1:
        raise InvalidInputError(message("Choose exactly one answer to item %(item)s.", item=question.item_id))
    return sum(1 << position for position in chosen)


def as_positions(bits: int) -> list[int]:
    """Return the positions whose bits are set."""
    return [position for position in range(bits.bit_length()) if bits >> position & 1]


def right_bits(question: Question) -> int:
    """Return the right choices as a number."""
    return sum(1 << position for position in question.right)


def is_right(question: Question, bits: int | None) -> bool:
    """Say whether exactly the right choices were chosen; without an answer it is not right."""
    return bits == right_bits(question)


def score(document: QuizDocument, answers: Mapping[int, int]) -> int:
    """Return the points of the questions that were answered right, each all or nothing."""
    answered = ((document.question(item_id), bits) for item_id, bits in answers.items())
    return sum(question.points for question, bits in answered if is_right(question, bits))
