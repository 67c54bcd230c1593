"""The kinds and the difficulties of items."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """How an item is answered."""

    SINGLE = "single"
    MULTIPLE = "multiple"
    TRUE_FALSE = "true_false"


class Difficulty(StrEnum):
    """How difficult an item is according to its source or author."""

    EASY = "easy"
    MEDIUM = "medium"
    HARD = "hard"
