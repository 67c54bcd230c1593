from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.bank.strategies import all_accepted, drafts, files, is_read_or_refused
from webapp.bank.formats import native_json
from webapp.bank.formats.native_json import dump, parse
from webapp.bank.formats.parse_result import Accepted, Record, Rejected, UnreadableError
from webapp.bank.item_draft import ItemDraft
from webapp.lab.factories import item_draft

VALID = b"""{"format": "poolproof items", "version": 1, "items": [
{"kind": "single", "stem": "Which one flies?", "choices": ["Crane", "Kiwi"], "right": [0], "explanation": "Kiwis run."},
{"kind": "multiple", "stem": "Which?", "choices": ["a", "b", "c"], "right": [0, 2], "category": "\\u00fcb/er"},
{"kind": "true_false", "stem": "Emus run.", "choices": ["True", "False"], "right": [0], "difficulty": "easy",
 "collected_at": "2026-11-25T12:00:00+00:00", "original": "{}"}
]}"""
GOOD = {"kind": "single", "stem": "Why?", "choices": ["One", "Two"], "right": [1]}


def nested(depth: int) -> list[Any]:
    return [nested(depth - 1)] if depth else []


def records(document: Any, category: str | None = None) -> list[Record]:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return list(parse(io.BytesIO(raw), category))


@given(st.lists(drafts(), max_size=5))
def test_what_is_written_is_read_again_without_loss(written: list[ItemDraft]) -> None:
    document = "".join(dump(written)).encode()
    assert list(parse(io.BytesIO(document))) == [
        Accepted(position, item) for position, item in enumerate(written, start=1)
    ]


def test_every_item_has_a_line_of_its_own() -> None:
    lines = "".join(dump([item_draft(), item_draft()])).splitlines()
    assert len(lines) == 4


def test_a_bare_list_will_do() -> None:
    assert records([GOOD]) == records({"format": "poolproof items", "version": 1, "items": [GOOD]})


def test_a_given_category_is_for_items_that_name_none() -> None:
    parsed = records([GOOD, GOOD | {"category": "Birds"}], "Fish")
    assert [record.draft.category for record in all_accepted(parsed)] == ["Fish", "Birds"]


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("Why?", "object"),
        ({}, "kind"),
        (GOOD | {"stem": 5}, "stem"),
        (GOOD | {"stem": ""}, "stem"),
        (GOOD | {"kind": "essay"}, "essay"),
        (GOOD | {"choices": "One"}, "choices"),
        (GOOD | {"choices": ["One", 2]}, "choices"),
        (GOOD | {"choices": ["One", "One"]}, "twice"),
        (GOOD | {"right": [True]}, "right"),
        (GOOD | {"right": [2]}, "right"),
        (GOOD | {"right": [1.0]}, "right"),
        (GOOD | {"right": [10**30]}, "right"),
        (GOOD | {"difficulty": "extreme"}, "extreme"),
        (GOOD | {"difficulty": 3}, "difficulty"),
        (GOOD | {"answer": "Two"}, "'answer'"),
        (GOOD | {"stem": "\ud800"}, "cannot be stored"),
        (GOOD | {"explanation": "\u0000"}, "cannot be stored"),
        (GOOD | {"collected_at": "0001-01-01T00:00:00+05:00"}, "collected_at"),
        (GOOD | {"right": nested(native_json.MAX_DEPTH - 3)}, "right"),
        (nested(native_json.MAX_DEPTH - 2), "object"),
    ],
)
def test_a_bad_element_says_why_and_stops_none_of_the_others(element: Any, expected: str) -> None:
    first, bad, last = records([GOOD, element, GOOD])
    assert isinstance(bad, Rejected)
    assert bad.line == 2
    assert expected in bad.reason
    assert (first.line, last.line) == (1, 3)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no JSON",
        b"[1, 2",
        b'"items"',
        b"{}",
        b'{"items": []}',
        b'{"format": "poolproof items", "version": 2, "items": []}',
        b'{"format": "poolproof items", "version": 1, "items": {}}',
        b"[" * 200_000,
        b"[" * 200_000 + b"]" * 200_000,
        b'{"a":' * 100_000,
        b"[1" + b"0" * 5000 + b"]",
        b"\xff\xfe\x00",
    ],
)
def test_a_document_of_something_else_is_refused_as_a_whole(content: bytes) -> None:
    with pytest.raises(UnreadableError):
        records(content)


@pytest.mark.parametrize("element", [nested(native_json.MAX_DEPTH), GOOD | {"source": nested(500)}])
def test_a_document_that_goes_too_deep_is_not_parsed(element: Any) -> None:
    with pytest.raises(UnreadableError, match="within each other"):
        records([element])


def test_brackets_in_texts_go_nowhere() -> None:
    (record,) = records([GOOD | {"stem": '[{"' * native_json.MAX_DEPTH}])
    assert isinstance(record, Accepted)


def test_a_document_that_is_too_large_is_not_parsed() -> None:
    class Endless:
        def read(self, size: int, /) -> bytes:
            return b" " * size

        def readline(self, size: int, /) -> bytes:
            raise AssertionError("JSON has no lines")

    with pytest.raises(UnreadableError, match=f"{native_json.MAX_BYTES // 1024 // 1024} MiB"):
        list(parse(Endless()))


@given(files(VALID))
def test_any_file_is_read_or_refused_with_a_reason(content: bytes) -> None:
    assert is_read_or_refused(parse, content)
