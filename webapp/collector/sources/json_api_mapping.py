"""Map the elements of a JSON source's responses to items, as its file describes. Pure."""

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
    """Reads the fields of records from the paths of a description."""

    def __init__(self, config: JsonApiConfig) -> None:
        """Read as `config` describes."""
        self._config = config
        self._fields = config.fields

    def find_records(self, body: Any) -> list[Any]:
        """Return the records of a response.

        Raises:
            FetchError: when there is no list where they should be.
        """
        elements = self._fields.items.find(body)
        if not isinstance(elements, list):
            raise FetchError(
                f"there is no list at {self._fields.items}, but {compact_json(elements)[:60]}; the answer begins "
                f"{compact_json(body)[:100]}"
            )
        return elements

    def map_record(self, number: int, element: Any) -> CollectedRecord:
        """Return a record, accepted or rejected; `number` is its position in the page, counted from 1."""
        record: Record
        identity = None
        try:
            identity = self._identity(element)
            record = validate_record(number, self._draft(element))
        except _InvalidRecordError as error:
            record = Rejected(number, str(error))
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
        """Return the choices, and the positions of the right ones."""
        fields = self._fields
        if fields.right is not None and fields.wrong is not None:
            right = self._texts(fields.right, element)
            # Sorted, because sources shuffle them.
            choices = sorted([*right, *self._texts(fields.wrong, element)])
            return tuple(choices), tuple(choices.index(text) for text in right)
        choices = self._texts(fields.choices, element)
        if fields.right_text is not None:
            right = self._texts(fields.right_text, element)
            if ambiguous := next((text for text in right if choices.count(text) != 1), None):
                count = choices.count(ambiguous)
                raise _InvalidRecordError(f"The answer {ambiguous[:60]!r} matches {count} choices.")
            return tuple(choices), tuple(choices.index(text) for text in right)
        positions = fields.right_position.find_all(element) if fields.right_position else []
        return tuple(choices), tuple(_position(value, fields.counted_from) for value in positions)

    def _kind(self, element: Any, choices: tuple[str, ...], right: tuple[int, ...]) -> Kind:
        text = self._text(self._fields.kind, element)
        if text is not None:
            kind = self._config.values.kind.get(text, text)
            if kind not in set(Kind):
                raise _InvalidRecordError(f"{text[:60]!r} is no kind; say under [values.kind] what it means.")
            return Kind(kind)
        if {choice.casefold() for choice in choices} == {"true", "false"}:
            return Kind.TRUE_FALSE
        return Kind.MULTIPLE if len(right) > 1 else Kind.SINGLE

    def _difficulty(self, element: Any) -> str | None:
        text = self._text(self._fields.difficulty, element)
        if text is None:
            return None
        difficulty = self._config.values.difficulty.get(text, text)
        if difficulty not in set(Difficulty):
            raise _InvalidRecordError(f"{text[:60]!r} is no difficulty; say under [values.difficulty] what it means.")
        return difficulty

    def _identity(self, element: Any) -> str | None:
        value = self._fields.identity.find(element) if self._fields.identity else None
        if value is None:
            return None
        text = self._decode_text(value, "identity")
        if len(text) > MAX_IDENTITY_LENGTH or not is_storable(text):
            raise _InvalidRecordError(
                f"The identity has more than {MAX_IDENTITY_LENGTH} characters, or one that cannot be stored."
            )
        return text

    def _text(self, path: FieldPath | None, element: Any) -> str | None:
        value = path.find(element) if path else None
        return None if path is None or value is None else self._decode_text(value, str(path))

    def _texts(self, path: FieldPath | None, element: Any) -> list[str]:
        return [self._decode_text(value, str(path)).strip() for value in path.find_all(element)] if path else []

    def _decode_text(self, value: Any, where: str) -> str:
        # Numbers and booleans are choices too: 7, true.
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
    """Return the choices true and false in the spelling and order of the bank; others unchanged."""
    folded = [choice.casefold() for choice in choices]
    if len(choices) > len(TRUE_AND_FALSE) or not set(folded) <= {"true", "false"} or right[0] not in range(len(folded)):
        return choices, right
    return TRUE_AND_FALSE, (0 if folded[right[0]] == "true" else 1,)
