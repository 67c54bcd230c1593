"""The kinds of items, and how hard they are said to be."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """How an item is answered."""

    SINGLE = "single"
    MULTIPLE = "multiple"
    TRUE_FALSE = "true_false"


class Difficulty(StrEnum):
    """How hard an item is said to be."""

    EASY = "easy"
    MEDIUM = "medium"
    HARD = "hard"
