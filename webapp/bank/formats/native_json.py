"""Our own JSON, which loses nothing: parse(dump(items)) gives the items back.

{"format": "poolproof items", "version": 1, "items": [{"kind": "single", "stem": …}, …]}
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from webapp.bank.formats import metadata_comment
from webapp.bank.formats.line_reader import MIB
from webapp.bank.formats.parse_result import ByteStream, Record, Rejected, UnreadableError, validate_record
from webapp.bank.item_draft import DETAIL_FIELDS, ItemDraft

FORMAT_NAME = "poolproof items"
FORMAT_VERSION = 1
MAX_BYTES = 64 * MIB
"""Of a document, which is read as a whole."""
MAX_DEPTH = 50
"""Levels of nested lists and objects; an item needs four."""

# A text, closed or not, or a bracket.
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{]|[\]}]', re.DOTALL)
_REQUIRED = {"kind": str, "stem": str, "choices": list, "right": list}
_OPTIONAL = (*DETAIL_FIELDS, "original", "collected_at")
_LISTS: dict[str, type] = {"pinned": int, "tags": str}
"""Optional lists, and of what they are."""


def parse(stream: ByteStream, category: str | None = None) -> Iterator[Record]:
    """Yield a record for every element of `items`; its "line" is its position in the list, counted from 1.

    `category` is for items that name none.

    Raises:
        UnreadableError: when it is not JSON, too large, or not of this form.
    """
    content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise UnreadableError(f"the file has more than {MAX_BYTES // MIB} MiB; split it")
    document = _load(content)
    elements = document.get("items") if isinstance(document, dict) else document
    if isinstance(document, dict) and (document.get("format"), document.get("version")) != (
        FORMAT_NAME,
        FORMAT_VERSION,
    ):
        raise UnreadableError(f'expected "format": "{FORMAT_NAME}" and "version": {FORMAT_VERSION}')
    if not isinstance(elements, list):
        raise UnreadableError("expected a list of items")
    for position, element in enumerate(elements, start=1):
        yield _parse_element(position, element, category)


def _load(content: bytes) -> Any:
    try:
        text = content.decode(json.detect_encoding(content), "surrogatepass").removeprefix("\ufeff")
        depth = 0
        for token in _TOKEN.finditer(text):
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
            if depth > MAX_DEPTH:
                raise UnreadableError(f"more than {MAX_DEPTH} lists and objects stand within each other")
        return json.loads(text)
    except ValueError as error:
        raise UnreadableError(f"this is not JSON ({error})") from error


def dump(drafts: Iterable[ItemDraft]) -> Iterator[str]:
    """Yield the document piece by piece, one item a line."""
    yield f'{{"format": "{FORMAT_NAME}", "version": {FORMAT_VERSION}, "items": ['
    for position, draft in enumerate(drafts):
        yield f"{',' if position else ''}\n{json.dumps(_to_element(draft), ensure_ascii=False)}"
    yield "\n]}\n"


def _to_element(draft: ItemDraft) -> dict[str, Any]:
    required = {"kind": str(draft.kind), "stem": draft.stem, "choices": draft.choices, "right": draft.right}
    optional = {name: getattr(draft, name) for name in _OPTIONAL}
    if draft.collected_at is not None:
        optional["collected_at"] = draft.collected_at.isoformat()
    lists = {name: getattr(draft, name) for name in _LISTS}
    return required | {name: value for name, value in (optional | lists).items() if value}


def _parse_element(position: int, element: Any, category: str | None) -> Record:
    if reason := _find_error(element):
        return Rejected(position, reason)
    optional = {name: element[name] for name in _OPTIONAL if element.get(name) is not None}
    optional |= {name: tuple(element[name]) for name in _LISTS if element.get(name) is not None}
    optional.setdefault("category", category)
    if "collected_at" in optional:
        try:
            optional["collected_at"] = metadata_comment.parse_timestamp(optional["collected_at"])
        except ValueError as error:
            return Rejected(position, str(error))
    draft = ItemDraft(
        kind=element["kind"],
        stem=element["stem"],
        choices=tuple(element["choices"]),
        right=tuple(element["right"]),
        **optional,
    )
    return validate_record(position, draft)


def _find_error(element: Any) -> str | None:
    """Return why an element cannot be read as an item at all."""
    if not isinstance(element, dict):
        return "An item is an object."
    for name, kind in _REQUIRED.items():
        if not isinstance(element.get(name), kind):
            return f"{name} is missing or not a {'list' if kind is list else 'text'}."
    if unknown := sorted(element.keys() - _REQUIRED.keys() - set(_OPTIONAL) - _LISTS.keys()):
        return f"{unknown[0][:40]!r} is no field of an item."
    if any(not isinstance(element.get(name), str | None) for name in _OPTIONAL):
        return f"{', '.join(_OPTIONAL)} are texts."
    if not all(isinstance(choice, str) for choice in element["choices"]):
        return "choices are texts."
    return _find_list_error(element)


def _find_list_error(element: dict[str, Any]) -> str | None:
    if not all(type(position) is int for position in element["right"]):
        return "right holds positions, whole numbers from 0."
    for name, kind in _LISTS.items():
        values = element.get(name) or []
        if not isinstance(values, list) or any(type(value) is not kind for value in values):
            return f"{name} is a list of {'texts' if kind is str else 'positions, whole numbers from 0'}."
    return None
