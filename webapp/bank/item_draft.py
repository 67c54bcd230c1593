"""The content of an item before it is stored, and whether it is valid. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from webapp.bank.item_kinds import Difficulty, Kind
from webapp.errors import InvalidInputError
from webapp.web.validators import is_storable

MAX_STEM_LENGTH = 4000
MAX_CHOICE_LENGTH = 500
MAX_EXPLANATION_LENGTH = 4000
MAX_CATEGORY_LENGTH = 100
MAX_SOURCE_LENGTH = 200
MAX_LICENCE_LENGTH = 100
MAX_ADDRESS_LENGTH = 500
MAX_ORIGINAL_LENGTH = 20_000
MAX_TAG_LENGTH = 50
MAX_TAGS = 20
MIN_CHOICES = 2
MAX_CHOICES = 20
TRUE_AND_FALSE = ("True", "False")

DETAIL_FIELDS = ("explanation", "category", "difficulty", "source", "licence", "address")
"""Fields that an item may leave empty and an author can write."""
PROVENANCE_FIELDS = ("collected_at", "original")
"""Fields that only the creation of an item sets: no change touches them."""
OPTIONAL_FIELDS = (*DETAIL_FIELDS, *PROVENANCE_FIELDS)
TEXT_FIELDS = ("stem", "explanation", "category", "source", "licence", "address", "original")
"""Fields of free text, without the choices."""


@dataclass(frozen=True)
class ItemDraft:
    """The content of an item; `right` and `pinned` are positions in `choices`.

    A pinned choice keeps its position when the choices are shuffled, such as "All of the above" the last one.

    `source`, `address`, `licence`, `collected_at` and `original` (the record as the source has it) tell its origin.
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
    pinned: tuple[int, ...] = ()
    tags: tuple[str, ...] = ()


def trim_draft(draft: ItemDraft) -> ItemDraft:
    """Return the draft as it is stored: no blanks around texts, None for an empty optional text; lists sorted.

    True and false are never shuffled, so neither of them is pinned.
    """
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
        pinned=() if draft.kind == Kind.TRUE_FALSE else tuple(sorted(set(draft.pinned))),
        tags=clean_tags(draft.tags),
    )


def clean_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return the different tags by name, with single blanks and without empty ones."""
    return tuple(sorted({" ".join(tag.split()) for tag in tags} - {""}))


def find_errors(draft: ItemDraft) -> list[tuple[str, str]]:
    """Return what is wrong with a trimmed draft, as (field, reason); nothing when it is valid."""
    errors = [
        None
        if 1 <= len(draft.stem) <= MAX_STEM_LENGTH
        else ("stem", f"The stem has 1 to {MAX_STEM_LENGTH} characters."),
        ("kind", f"{draft.kind[:40]} is no kind of item.") if draft.kind not in set(Kind) else None,
        ("difficulty", f"{draft.difficulty[:40]} is no difficulty.")
        if draft.difficulty is not None and draft.difficulty not in set(Difficulty)
        else None,
        _length_error("explanation", draft.explanation, MAX_EXPLANATION_LENGTH),
        _length_error("category", draft.category, MAX_CATEGORY_LENGTH),
        _length_error("source", draft.source, MAX_SOURCE_LENGTH),
        _length_error("licence", draft.licence, MAX_LICENCE_LENGTH),
        _length_error("address", draft.address, MAX_ADDRESS_LENGTH),
        _length_error("original", draft.original, MAX_ORIGINAL_LENGTH),
        _choices_error(draft),
        _right_error(draft),
        _pinned_error(draft),
        *tag_errors(draft.tags),
        *(_storable_error(field, text) for field, text in _iter_texts(draft)),
    ]
    return [error for error in errors if error is not None]


def validate_draft(draft: ItemDraft) -> ItemDraft:
    """Return the draft as it is stored.

    Raises:
        InvalidInputError: with every field that is wrong.
    """
    draft = trim_draft(draft)
    if errors := find_errors(draft):
        fields = [{"where": field, "reason": reason} for field, reason in errors]
        raise InvalidInputError(" ".join(reason for _, reason in errors), {"errors": fields})
    return draft


def tag_errors(tags: Iterable[str]) -> list[tuple[str, str]]:
    """Return what is wrong with trimmed tags, as (field, reason)."""
    errors = [("tags", f"An item has at most {MAX_TAGS} tags.")] if len(tags := list(tags)) > MAX_TAGS else []
    if any(len(tag) > MAX_TAG_LENGTH or "," in tag for tag in tags):
        errors.append(("tags", f"A tag has 1 to {MAX_TAG_LENGTH} characters and no comma."))
    if not all(map(is_storable, tags)):
        errors.append(("tags", "It contains a character that cannot be stored."))
    return errors


def _length_error(field: str, text: str | None, max_length: int) -> tuple[str, str] | None:
    return (field, f"Give at most {max_length} characters.") if text is not None and len(text) > max_length else None


def _choices_error(draft: ItemDraft) -> tuple[str, str] | None:
    choices = draft.choices
    if draft.kind == Kind.TRUE_FALSE:
        return (
            None
            if choices == TRUE_AND_FALSE
            else ("choices", "True or false has the choices True and False, in this order.")
        )
    if not MIN_CHOICES <= len(choices) <= MAX_CHOICES:
        return ("choices", f"An item has {MIN_CHOICES} to {MAX_CHOICES} choices, not {len(choices)}.")
    if any(not 1 <= len(choice) <= MAX_CHOICE_LENGTH for choice in choices):
        return ("choices", f"A choice has 1 to {MAX_CHOICE_LENGTH} characters.")
    if repeated := next((choice for choice in choices if choices.count(choice) > 1), None):
        return ("choices", f"The choice {repeated[:60]!r} is there twice.")
    return None


def _right_error(draft: ItemDraft) -> tuple[str, str] | None:
    right = set(draft.right)
    if any(not 0 <= position < len(draft.choices) for position in right):
        return ("right", "Positions of right choices are counted from 0.")
    if not right:
        return ("right", "Say which choice is right.")
    if draft.kind != Kind.MULTIPLE and len(right) != 1:
        return ("right", "This kind of item has exactly one right choice.")
    return None


def _pinned_error(draft: ItemDraft) -> tuple[str, str] | None:
    if any(not 0 <= position < len(draft.choices) for position in draft.pinned):
        return ("pinned", "Positions of pinned choices are counted from 0.")
    return None


def _iter_texts(draft: ItemDraft) -> Iterator[tuple[str, str]]:
    yield from (("choices", choice) for choice in draft.choices)
    for field in TEXT_FIELDS:
        yield field, getattr(draft, field) or ""


def _storable_error(field: str, text: str) -> tuple[str, str] | None:
    return None if is_storable(text) else (field, "It contains a character that cannot be stored.")
