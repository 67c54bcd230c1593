"""What GIFT and Moodle XML have in common: Moodle's paths of categories, and what its grades mean for an item."""

from __future__ import annotations

import re
from collections.abc import Sequence

TOP_CATEGORY = "top"
"""Moodle's name for the category above all."""

_CONTEXT = re.compile(r"\$[a-z]+\$(/|$)")


class UnsupportedQuestionError(Exception):
    """The question cannot become an item; the text says why."""


def unsupported_type(question_type: str) -> UnsupportedQuestionError:
    """Return what to raise for a question of another type."""
    return UnsupportedQuestionError(f"{question_type} is not supported; true/false, single and multiple choice are.")


def parse_category_path(path: str) -> str | None:
    """Return what a category's path says, without the context (`$course$/top`); None for the top."""
    name = _CONTEXT.sub("", path.strip(), count=1).strip()
    name = "" if name == TOP_CATEGORY else name.removeprefix(f"{TOP_CATEGORY}/")
    return name.replace("//", "/").strip() or None


def format_category_path(category: str | None) -> str:
    """Return a path for a category; `parse_category_path` understands it, save that of some odd names."""
    return TOP_CATEGORY if category is None else category.replace("/", "//")


def find_right_choices(weights: Sequence[float], *, is_single: bool) -> tuple[int, ...]:
    """Return the positions of the right choices, of which `weights` are the percents.

    In a single choice what is worth less than 100 % is wrong, in a multiple choice what is worth
    more than nothing is right.

    Raises:
        UnsupportedQuestionError: when a single choice has several right ones.
    """
    threshold = 100 if is_single else 0.001
    right = tuple(position for position, weight in enumerate(weights) if weight >= threshold)
    if is_single and len(right) > 1:
        raise UnsupportedQuestionError(f"A single choice of which {len(right)} choices are right is not supported.")
    return right


def format_fraction(position: int, right: Sequence[int]) -> str:
    """Return the percents of a choice among several; the right ones share 100."""
    # A wrong choice costs everything; otherwise choosing all of them would be right.
    return f"{100 / len(right):.7g}" if position in right else "-100"
