"""An element of a described source's answer, read into an item. Pure."""

from __future__ import annotations

import html
from typing import Any

from webapp.bank.drafts import TRUE_AND_FALSE, ItemDraft
from webapp.bank.formats.records import Record, Rejected, judged
from webapp.bank.kinds import Difficulty, Kind
from webapp.collector.sources.description import Description
from webapp.collector.sources.paths import FieldPath
from webapp.collector.sources.protocol import LONGEST_IDENTITY, Collected, FetchError, original_of
from webapp.web.text import is_storable


class _UnfitError(Exception):
    """The element cannot be an item; the text says why."""


class Reader:
    """Reads records as a description says where their parts are."""

    def __init__(self, described: Description) -> None:
        """Read as `described`."""
        self._described = described
        self._fields = described.fields

    def elements(self, body: Any) -> list[Any]:
        """Return the records of an answer.

        Raises:
            FetchError: when there is no list where they should be.
        """
        found = self._fields.items.find(body)
        if not isinstance(found, list):
            raise FetchError(
                f"there is no list at {self._fields.items}, but {original_of(found)[:60]}; the answer begins "
                f"{original_of(body)[:100]}"
            )
        return found

    def collected(self, number: int, element: Any) -> Collected:
        """Return what becomes of a record; `number` is its place in the page, from 1."""
        record: Record
        identity = None
        try:
            identity = self._identity(element)
            record = judged(number, self._draft(element))
        except _UnfitError as unfit:
            record = Rejected(number, str(unfit))
        return Collected(record, identity, original_of(element))

    def _draft(self, element: Any) -> ItemDraft:
        choices, right = self._choices(element)
        kind = self._kind(element, choices, right)
        if kind is Kind.TRUE_FALSE and len(right) == 1:
            choices, right = _true_and_false(choices, right)
        return ItemDraft(
            kind=kind,
            stem=self._text(self._fields.stem, element) or "",
            choices=choices,
            right=right,
            explanation=self._text(self._fields.explanation, element) or "",
            category=self._text(self._fields.category, element),
            difficulty=self._difficulty(element),
            source=self._described.title,
            licence=self._described.licence,
        )

    def _choices(self, element: Any) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Return the choices, and which of them are right."""
        fields = self._fields
        if fields.right is not None and fields.wrong is not None:
            right = self._texts(fields.right, element)
            # In one order, for sources shuffle.
            choices = sorted([*right, *self._texts(fields.wrong, element)])
            return tuple(choices), tuple(choices.index(one) for one in right)
        choices = self._texts(fields.choices, element)
        if fields.right_text is not None:
            right = self._texts(fields.right_text, element)
            if missing := next((one for one in right if choices.count(one) != 1), None):
                raise _UnfitError(f"The answer {missing[:60]!r} matches {choices.count(missing)} choices.")
            return tuple(choices), tuple(choices.index(one) for one in right)
        found = fields.right_position.all(element) if fields.right_position else []
        return tuple(choices), tuple(_position(one, fields.counted_from) for one in found)

    def _kind(self, element: Any, choices: tuple[str, ...], right: tuple[int, ...]) -> Kind:
        found = self._text(self._fields.kind, element)
        if found is not None:
            kind = self._described.values.kind.get(found, found)
            if kind not in set(Kind):
                raise _UnfitError(f"{found[:60]!r} is no kind; say under [values.kind] what it means.")
            return Kind(kind)
        if {one.casefold() for one in choices} == {"true", "false"}:
            return Kind.TRUE_FALSE
        return Kind.MULTIPLE if len(right) > 1 else Kind.SINGLE

    def _difficulty(self, element: Any) -> str | None:
        found = self._text(self._fields.difficulty, element)
        if found is None:
            return None
        difficulty = self._described.values.difficulty.get(found, found)
        if difficulty not in set(Difficulty):
            raise _UnfitError(f"{found[:60]!r} is no difficulty; say under [values.difficulty] what it means.")
        return difficulty

    def _identity(self, element: Any) -> str | None:
        found = self._fields.identity.find(element) if self._fields.identity else None
        if found is None:
            return None
        text = self._decoded(found, "identity")
        if len(text) > LONGEST_IDENTITY or not is_storable(text):
            raise _UnfitError(
                f"The identity has more than {LONGEST_IDENTITY} characters, or one that cannot be stored."
            )
        return text

    def _text(self, path: FieldPath | None, element: Any) -> str | None:
        found = path.find(element) if path else None
        return None if path is None or found is None else self._decoded(found, str(path))

    def _texts(self, path: FieldPath | None, element: Any) -> list[str]:
        return [self._decoded(one, str(path)).strip() for one in path.all(element)] if path else []

    def _decoded(self, value: Any, where: str) -> str:
        # Numbers and truths are answers too: 7, true.
        if not isinstance(value, str | int | float):
            raise _UnfitError(f"{where} holds {original_of(value)[:60]}, which is no text.")
        text = str(value)
        try:
            return html.unescape(text) if self._described.decode == "html" else text
        except ValueError as error:
            raise _UnfitError(f"{where} cannot be decoded ({error}).") from error


def _position(value: Any, counted_from: int) -> int:
    """Return a position from 0, written as a number or as a letter."""
    if isinstance(value, str) and len(value) == 1 and value.isascii() and value.isalpha():
        return ord(value.upper()) - ord("A")
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value[:9])
    if not isinstance(value, int) or isinstance(value, bool):
        raise _UnfitError(f"{original_of(value)[:60]} is no position of a choice.")
    return value - counted_from


def _true_and_false(choices: tuple[str, ...], right: tuple[int, ...]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return such choices in the words and the order of the bank."""
    folded = [one.casefold() for one in choices]
    if len(choices) > len(TRUE_AND_FALSE) or not set(folded) <= {"true", "false"} or right[0] not in range(len(folded)):
        return choices, right
    return TRUE_AND_FALSE, (0 if folded[right[0]] == "true" else 1,)
