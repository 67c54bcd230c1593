"""An element of a described source's answer, read into an item. Pure."""

from __future__ import annotations

import html
from typing import Any

from webapp.bank.formats.parse_result import Record, Rejected, validate_record
from webapp.bank.item_draft import TRUE_AND_FALSE, ItemDraft
from webapp.bank.item_kinds import Difficulty, Kind
from webapp.collector.sources.base import MAX_IDENTITY_LENGTH, CollectedRecord, FetchError, compact_json
from webapp.collector.sources.json_api_config import JsonApiConfig
from webapp.collector.sources.json_path import FieldPath
from webapp.web.validators import is_storable


class _InvalidRecordError(Exception):
    """The element cannot be an item; the text says why."""


class RecordMapper:
    """Reads records as a description says where their parts are."""

    def __init__(self, config: JsonApiConfig) -> None:
        """Read as `described`."""
        self._config = config
        self._fields = config.fields

    def find_records(self, body: Any) -> list[Any]:
        """Return the records of an answer.

        Raises:
            FetchError: when there is no list where they should be.
        """
        found = self._fields.items.find(body)
        if not isinstance(found, list):
            raise FetchError(
                f"there is no list at {self._fields.items}, but {compact_json(found)[:60]}; the answer begins "
                f"{compact_json(body)[:100]}"
            )
        return found

    def map_record(self, number: int, element: Any) -> CollectedRecord:
        """Return what becomes of a record; `number` is its place in the page, from 1."""
        record: Record
        identity = None
        try:
            identity = self._identity(element)
            record = validate_record(number, self._draft(element))
        except _InvalidRecordError as unfit:
            record = Rejected(number, str(unfit))
        return CollectedRecord(record, identity, compact_json(element))

    def _draft(self, element: Any) -> ItemDraft:
        choices, right = self._choices(element)
        kind = self._kind(element, choices, right)
        if kind is Kind.TRUE_FALSE and len(right) == 1:
            choices, right = _normalize_true_false(choices, right)
        return ItemDraft(
            kind=kind,
            stem=self._text(self._fields.stem, element) or "",
            choices=choices,
            right=right,
            explanation=self._text(self._fields.explanation, element) or "",
            category=self._text(self._fields.category, element),
            difficulty=self._difficulty(element),
            source=self._config.title,
            licence=self._config.licence,
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
                raise _InvalidRecordError(f"The answer {missing[:60]!r} matches {choices.count(missing)} choices.")
            return tuple(choices), tuple(choices.index(one) for one in right)
        found = fields.right_position.find_all(element) if fields.right_position else []
        return tuple(choices), tuple(_position(one, fields.counted_from) for one in found)

    def _kind(self, element: Any, choices: tuple[str, ...], right: tuple[int, ...]) -> Kind:
        found = self._text(self._fields.kind, element)
        if found is not None:
            kind = self._config.values.kind.get(found, found)
            if kind not in set(Kind):
                raise _InvalidRecordError(f"{found[:60]!r} is no kind; say under [values.kind] what it means.")
            return Kind(kind)
        if {one.casefold() for one in choices} == {"true", "false"}:
            return Kind.TRUE_FALSE
        return Kind.MULTIPLE if len(right) > 1 else Kind.SINGLE

    def _difficulty(self, element: Any) -> str | None:
        found = self._text(self._fields.difficulty, element)
        if found is None:
            return None
        difficulty = self._config.values.difficulty.get(found, found)
        if difficulty not in set(Difficulty):
            raise _InvalidRecordError(f"{found[:60]!r} is no difficulty; say under [values.difficulty] what it means.")
        return difficulty

    def _identity(self, element: Any) -> str | None:
        found = self._fields.identity.find(element) if self._fields.identity else None
        if found is None:
            return None
        text = self._decode_text(found, "identity")
        if len(text) > MAX_IDENTITY_LENGTH or not is_storable(text):
            raise _InvalidRecordError(
                f"The identity has more than {MAX_IDENTITY_LENGTH} characters, or one that cannot be stored."
            )
        return text

    def _text(self, path: FieldPath | None, element: Any) -> str | None:
        found = path.find(element) if path else None
        return None if path is None or found is None else self._decode_text(found, str(path))

    def _texts(self, path: FieldPath | None, element: Any) -> list[str]:
        return [self._decode_text(one, str(path)).strip() for one in path.find_all(element)] if path else []

    def _decode_text(self, value: Any, where: str) -> str:
        # Numbers and truths are answers too: 7, true.
        if not isinstance(value, str | int | float):
            raise _InvalidRecordError(f"{where} holds {compact_json(value)[:60]}, which is no text.")
        text = str(value)
        try:
            return html.unescape(text) if self._config.decode == "html" else text
        except ValueError as error:
            raise _InvalidRecordError(f"{where} cannot be decoded ({error}).") from error


def _position(value: Any, counted_from: int) -> int:
    """Return a position from 0, written as a number or as a letter."""
    if isinstance(value, str) and len(value) == 1 and value.isascii() and value.isalpha():
        return ord(value.upper()) - ord("A")
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value[:9])
    if not isinstance(value, int) or isinstance(value, bool):
        raise _InvalidRecordError(f"{compact_json(value)[:60]} is no position of a choice.")
    return value - counted_from


def _normalize_true_false(choices: tuple[str, ...], right: tuple[int, ...]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return such choices in the words and the order of the bank."""
    folded = [one.casefold() for one in choices]
    if len(choices) > len(TRUE_AND_FALSE) or not set(folded) <= {"true", "false"} or right[0] not in range(len(folded)):
        return choices, right
    return TRUE_AND_FALSE, (0 if folded[right[0]] == "true" else 1,)
