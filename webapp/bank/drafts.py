"""What somebody wants an item to be, and whether it is good. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from webapp.bank.kinds import Difficulty, Kind
from webapp.errors import InvalidInputError
from webapp.web.text import is_storable

LONGEST_STEM = 4000
LONGEST_CHOICE = 500
LONGEST_EXPLANATION = 4000
LONGEST_CATEGORY = 100
LONGEST_SOURCE = 200
LONGEST_LICENCE = 100
LONGEST_ADDRESS = 500
LONGEST_ORIGINAL = 20_000
FEWEST_CHOICES = 2
MOST_CHOICES = 20
TRUE_AND_FALSE = ("True", "False")


@dataclass(frozen=True)
class ItemDraft:
    """What somebody wants an item to be; `right` are positions in `choices`.

    `source`, `address`, `licence`, `collected_at` and `original` (the record as it was found) say where it
    comes from.
    """

    kind: str
    stem: str
    choices: tuple[str, ...]
    right: tuple[int, ...]
    explanation: str = ""
    category: str | None = None
    difficulty: str | None = None
    source: str | None = None
    licence: str | None = None
    address: str | None = None
    collected_at: datetime | None = None
    original: str | None = None


def trimmed(draft: ItemDraft) -> ItemDraft:
    """Return the draft as it is stored: no blanks around texts, nothing instead of an empty text, `right` in order."""
    return replace(
        draft,
        stem=draft.stem.strip(),
        choices=tuple(choice.strip() for choice in draft.choices),
        right=tuple(sorted(set(draft.right))),
        explanation=draft.explanation.strip(),
        category=(draft.category or "").strip() or None,
        source=(draft.source or "").strip() or None,
        licence=(draft.licence or "").strip() or None,
        address=(draft.address or "").strip() or None,
        original=draft.original or None,
    )


def problems_of(draft: ItemDraft) -> list[tuple[str, str]]:
    """Return what is wrong with a trimmed draft, as (field, reason); nothing when it is good."""
    wrong = [
        None if 1 <= len(draft.stem) <= LONGEST_STEM else ("stem", f"The stem has 1 to {LONGEST_STEM} characters."),
        ("kind", f"{draft.kind[:40]} is no kind of item.") if draft.kind not in set(Kind) else None,
        ("difficulty", f"{draft.difficulty[:40]} is no difficulty.")
        if draft.difficulty is not None and draft.difficulty not in set(Difficulty)
        else None,
        _too_long("explanation", draft.explanation, LONGEST_EXPLANATION),
        _too_long("category", draft.category, LONGEST_CATEGORY),
        _too_long("source", draft.source, LONGEST_SOURCE),
        _too_long("licence", draft.licence, LONGEST_LICENCE),
        _too_long("address", draft.address, LONGEST_ADDRESS),
        _too_long("original", draft.original, LONGEST_ORIGINAL),
        _trouble_with_choices(draft),
        _trouble_with_right(draft),
        *(_unstorable(field, text) for field, text in _texts_of(draft)),
    ]
    return [one for one in wrong if one is not None]


def check(draft: ItemDraft) -> ItemDraft:
    """Return the draft as it is stored, or refuse it.

    Raises:
        InvalidInputError: with every field that is wrong.
    """
    draft = trimmed(draft)
    if wrong := problems_of(draft):
        errors = [{"where": where, "reason": reason} for where, reason in wrong]
        raise InvalidInputError(" ".join(reason for _, reason in wrong), {"errors": errors})
    return draft


def _too_long(field: str, text: str | None, longest: int) -> tuple[str, str] | None:
    return (field, f"Give at most {longest} characters.") if text is not None and len(text) > longest else None


def _trouble_with_choices(draft: ItemDraft) -> tuple[str, str] | None:
    choices = draft.choices
    if draft.kind == Kind.TRUE_FALSE:
        return (
            None
            if choices == TRUE_AND_FALSE
            else ("choices", "True or false has the choices True and False, in this order.")
        )
    if not FEWEST_CHOICES <= len(choices) <= MOST_CHOICES:
        return ("choices", f"An item has {FEWEST_CHOICES} to {MOST_CHOICES} choices, not {len(choices)}.")
    if any(not 1 <= len(choice) <= LONGEST_CHOICE for choice in choices):
        return ("choices", f"A choice has 1 to {LONGEST_CHOICE} characters.")
    if twice := next((choice for choice in choices if choices.count(choice) > 1), None):
        return ("choices", f"The choice {twice[:60]!r} is there twice.")
    return None


def _trouble_with_right(draft: ItemDraft) -> tuple[str, str] | None:
    right = set(draft.right)
    if any(not 0 <= position < len(draft.choices) for position in right):
        return ("right", "Positions of right choices are counted from 0.")
    if not right:
        return ("right", "Say which choice is right.")
    if draft.kind != Kind.MULTIPLE and len(right) != 1:
        return ("right", "This kind of item has exactly one right choice.")
    return None


def _texts_of(draft: ItemDraft) -> Iterator[tuple[str, str]]:
    yield from (("choices", choice) for choice in draft.choices)
    for field in ("stem", "explanation", "category", "source", "licence", "address", "original"):
        yield field, getattr(draft, field) or ""


def _unstorable(field: str, text: str) -> tuple[str, str] | None:
    return None if is_storable(text) else (field, "It contains a character that cannot be stored.")
