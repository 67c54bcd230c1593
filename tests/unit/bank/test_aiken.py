from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.bank.strategies import (
    Endless,
    all_accepted,
    drafts,
    files,
    is_read_or_refused,
    only_draft,
    peak_of,
    read,
)
from webapp.bank.formats.aiken import UNSUPPORTED_FIELDS, dump, parse
from webapp.bank.formats.parse_result import Accepted, Rejected, UnreadableError
from webapp.bank.item_draft import ItemDraft

GOOD = "Which one flies?\nA. Kiwi\nB. Crane\nANSWER: B\n\n"
ITEM = ItemDraft("single", "Which one flies?", ("Kiwi", "Crane"), (1,))

records = partial(read, parse)
draft = partial(only_draft, parse)


@pytest.mark.parametrize(
    "same",
    [
        GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\r"),
        "\ufeff" + GOOD,
        GOOD.rstrip(),
        GOOD.replace("A. ", "A) ").replace("B. ", "B."),
        GOOD.replace("\n", "\n\n-\n \u00a0\n"),
        GOOD.replace("\n", " \t\n "),
        GOOD.replace(" B\n", "B\n"),
    ],
)
def test_a_question_becomes_an_item(same: str) -> None:
    assert draft(same) == ITEM


def test_questions_have_their_lines_and_the_category_of_the_file() -> None:
    parsed = read(parse, GOOD * 2, "Birds")
    assert parsed == [Accepted(line, replace(ITEM, category="Birds")) for line in (1, 6)]


@pytest.mark.parametrize(("first", "second", "right"), [("True", "False", 1), ("False", "True", 0)])
def test_true_and_false_stand_in_their_usual_order(first: str, second: str, right: int) -> None:
    result = draft(f"Emus run.\nA. {first}\nB. {second}\nANSWER: B\n")
    assert result == ItemDraft("true_false", "Emus run.", ("True", "False"), (right,))


def test_an_old_file_in_windows_1252_is_read_and_reported_as_mended() -> None:
    (record,) = all_accepted(records("Où?\nA. là\nB. ici\nANSWER: A".encode("cp1252")))
    assert (record.repaired, record.draft.stem, record.draft.choices) == (True, "Où?", ("là", "ici"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("A. Kiwi\nB. Crane\nANSWER: A\n", "Line 6: an option stands before a question"),
        ("ANSWER: A\n", "Line 6: ANSWER stands before a question"),
        ("Who?\nANSWER: A\n", "Line 7: ANSWER stands after fewer than two options"),
        ("Who?\nA. Kiwi\nANSWER: A\n", "Line 8: ANSWER stands after fewer than two options"),
        ("Who?\nA. Kiwi\nB. Emu\nANSWER: C\n", "Line 9: the answer 'C' is none"),
        ("Who?\nA. Kiwi\nB. Emu\nANSWER: b\n", "Line 9: the answer 'b' is none"),
        ("Who?\nA. Kiwi\nB. Emu\nANSWER:\n", "Line 9: the answer '' is none"),
        ("Who?\nA. Kiwi\nC. Emu\nANSWER: A\n", "Line 8: C stands where B should"),
        ("Who?\nA. Kiwi\nB. Emu\n", "Line 10: a new question stands before ANSWER"),
        ("A heading\n", "Line 8: a new question stands before ANSWER"),
        ("Who is it,\nand why?\nA. Kiwi\nB. Emu\nANSWER: A\n", "Line 7: the question goes on over a second line"),
        ("A. Smith was what?\nA. Kiwi\nB. Emu\nANSWER: A\n", "Line 6: an option stands before a question"),
        ("Who?\nA. Kiwi\nB. Kiwi\nANSWER: A\n", "'Kiwi' is there twice"),
        ("Who?\nA.\nB. Kiwi\nANSWER: A\n", "A choice has 1 to 500"),
        (b"Who?\nA. \x81\nB. Kiwi\nANSWER: A\n", "Line 7 has bytes"),
        (f"Who?\nA. {'x' * 300_000}\nB. Kiwi\nANSWER: A\n", "Line 7 has more than 262144 bytes"),
        (f"Who?\nA. {'x' * 300_000}\nA. Kiwi\nANSWER: A\n", "Line 7 has more than 262144 bytes"),
    ],
)
def test_a_question_that_cannot_be_an_item_says_why_and_stops_none_of_the_others(
    content: bytes | str, expected: str
) -> None:
    raw = content if isinstance(content, bytes) else content.encode()
    first, bad, last = records(GOOD.encode() + raw + b"\n" + GOOD.encode())
    assert isinstance(bad, Rejected)
    assert expected in bad.reason
    assert bad.line == 6
    assert [record.draft for record in all_accepted([first, last])] == [ITEM, ITEM]


def test_a_file_that_ends_early_says_so() -> None:
    assert records(GOOD + "Who?\nA. Kiwi\n")[1:] == [Rejected(6, "The file ends before ANSWER.")]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"Some text.\nMore.\n", b'["JSON"]', GOOD.encode("utf-16")])
def test_a_file_of_something_else_is_refused_as_a_whole(content: bytes) -> None:
    with pytest.raises(UnreadableError):
        records(content)


def test_a_file_is_read_no_further_than_it_is_asked_for() -> None:
    stream = Endless(GOOD.encode())
    parsed = parse(stream)
    assert [next(parsed).line for _ in range(3)] == [1, 6, 11]
    assert stream.bytes_read <= 64 * 1024


def test_a_question_of_any_length_takes_little_memory() -> None:
    content = GOOD.encode() + b"Who?\n" + b"A. " + b"x" * 20 * 2**20 + b"\n" + b"A. x\n" * 50_000
    assert peak_of(parse, content) < 4 * 2**20


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"kind": "multiple", "right": (0, 1)}, "several right choices"),
        ({"stem": "Who\nflies?"}, "line breaks"),
        ({"choices": ("Kiwi", "Crane\rand Emu")}, "line breaks"),
        ({"stem": "A. Smith was a bird?"}, "for an option"),
        ({"stem": "B) or not B)"}, "for an option"),
        ({"stem": "ANSWER: me"}, "for the answer"),
        ({"stem": "?"}, "one character"),
        ({"choices": ("False", "True")}, "true or false"),
        ({"choices": tuple(map(str, range(27)))}, "26 choices"),
    ],
)
def test_an_export_refuses_by_name_what_aiken_cannot_hold(values: dict[str, Any], expected: str) -> None:
    refused: list[tuple[ItemDraft, str]] = []
    bad = replace(ITEM, **values)
    assert "".join(dump([ITEM, bad, ITEM], lambda *arguments: refused.append(arguments))) == GOOD * 2
    ((item, reason),) = refused
    assert item is bad
    assert expected in reason


@given(st.lists(drafts(), min_size=1, max_size=4))
def test_what_is_written_is_read_again_and_what_is_not_is_named(written: list[ItemDraft]) -> None:
    refused: list[ItemDraft] = []
    content = GOOD + "".join(dump(written, lambda item, reason: refused.append(item)))
    nothing: dict[str, Any] = dict.fromkeys(UNSUPPORTED_FIELDS) | {"explanation": "", "pinned": (), "tags": ()}
    expected = [replace(item, **nothing) for item in written if item not in refused]
    assert [record.draft for record in all_accepted(records(content))][1:] == expected


@given(files((GOOD * 3).encode()))
def test_any_file_is_read_or_refused_with_a_reason(content: bytes) -> None:
    assert is_read_or_refused(parse, content)
