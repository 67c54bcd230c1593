from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

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
from webapp.bank.formats.csv_table import MAX_COLUMNS, MAX_ROW_BYTES, dump, parse
from webapp.bank.formats.parse_result import Accepted, Rejected, UnreadableError
from webapp.bank.item_draft import ItemDraft
from webapp.bank.items import Item

HEAD = "stem,choice_1,choice_2,right\n"
GOOD = "Which one flies?,Crane,Kiwi,1\n"
ITEM = ItemDraft("single", "Which one flies?", ("Crane", "Kiwi"), (0,))
FULL = (
    "id,kind,stem,choice_1,choice_2,choice_3,right,explanation,category,difficulty,source,licence,address,"
    "collected_at,original,pinned\n"
)
VALID = (
    FULL + '7,single,"Which one\nflies?",Crane,Kiwi,Emu,1,"Emus ""run"".",Birds,easy,Me,CC0,https://a.example/1,'
    "2026-11-25T12:00:00+00:00,{}\n"
    ",multiple,Which two are birds?,Crane,Kiwi,Bat,1; 2,,Birds,,,,,,\n"
    ",,,,,,,,,,,,,,\n"
    "8,true_false,'=Penguins fly.,,,,2,,,,,,,,\n"
).encode()

records = partial(read, parse)
draft = partial(only_draft, parse)


def test_a_row_becomes_an_item() -> None:
    assert draft(HEAD + GOOD) == ITEM


def test_a_whole_table_is_read_with_the_ids_of_the_items_that_it_changes() -> None:
    first, second, third = all_accepted(records(VALID))
    assert (first.line, first.item_id, second.line, second.item_id, third.line, third.item_id) == (2, 7, 4, None, 6, 8)
    assert first.draft == ItemDraft(
        kind="single",
        stem="Which one\nflies?",
        choices=("Crane", "Kiwi", "Emu"),
        right=(0,),
        explanation='Emus "run".',
        category="Birds",
        difficulty="easy",
        source="Me",
        licence="CC0",
        address="https://a.example/1",
        collected_at=datetime(2026, 11, 25, 12, tzinfo=UTC),
        original="{}",
    )
    assert second.draft == ItemDraft(
        "multiple", "Which two are birds?", ("Crane", "Kiwi", "Bat"), (0, 1), category="Birds"
    )
    assert third.draft == ItemDraft("true_false", "=Penguins fly.", ("True", "False"), (1,))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_delimiters_line_ends_and_byte_order_marks_do_not_matter(delimiter: str, end: str, mark: str) -> None:
    content = mark + (HEAD + GOOD * 2).replace(",", delimiter).replace("\n", end)
    assert [(record.line, record.draft) for record in all_accepted(records(content))] == [(2, ITEM), (3, ITEM)]


def test_columns_may_stand_in_any_order_and_case_and_empty_ones_at_the_end() -> None:
    assert draft('RIGHT, Choice_2 ,"Stem",choice_1,,\n2,Crane,Which one flies?,Kiwi,,\n') == replace(
        ITEM, choices=("Kiwi", "Crane"), right=(1,)
    )


@pytest.mark.parametrize(
    ("numbers", "kind", "right"),
    [("1", "single", (0,)), (" 2 ", "single", (1,)), ("1; 2", "multiple", (0, 1)), ("2 1", "multiple", (0, 1))],
)
def test_right_are_numbers_of_choices_and_several_make_a_multiple_choice(
    numbers: str, kind: str, right: tuple[int, ...]
) -> None:
    result = draft(f"{HEAD}Which?,a,b,{numbers}\n")
    assert (result.kind, result.right) == (kind, right)


@pytest.mark.parametrize("choices", [",", "True,False", "TRUE,FALSE", "true,false"])
def test_true_or_false_needs_no_choices(choices: str) -> None:
    result = draft(f"kind,{HEAD}True_False,Emus run.,{choices},1\n")
    assert result == ItemDraft("true_false", "Emus run.", ("True", "False"), (0,))


def test_a_given_category_is_for_items_that_name_none() -> None:
    parsed = all_accepted(records(f"category,{HEAD},{GOOD}Birds,{GOOD}", "Other"))
    assert [record.draft.category for record in parsed] == ["Other", "Birds"]


def test_a_table_of_an_old_spreadsheet_in_windows_1252_is_read_and_reported_as_mended() -> None:
    parsed = all_accepted(records((HEAD + GOOD + "Où?,là,ici,1\n").encode("cp1252")))
    assert [record.repaired for record in parsed] == [False, True]
    assert parsed[1].draft.choices == ("là", "ici")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("Which?,a,b,\n", "right is '', not numbers"),
        ("Which?,a,b,A\n", "right is 'A', not numbers"),
        ("Which?,a,b,1.5\n", "right is '1.5', not numbers"),
        ("Which?,a,b,-1\n", "not numbers"),
        ("Which?,a,b,0\n", "right names choice 0"),
        ("Which?,a,b,3\n", "right names choice 3, and there are 2"),
        ("Which?,a,,1\n", "2 to 20 choices, not 1"),
        ("Which?,,b,2\n", "choice_1 is empty"),
        ("Which?,a,a,1\n", "'a' is there twice"),
        (",a,b,1\n", "stem"),
        ("Which?,a\n", "right is ''"),
        ("Which?,a,b,1,and more\n", "under no column's name"),
        ('Which?,"a"b,c,1\n', "expected after"),
        ("Which\x00?,a,b,1\n", "cannot be stored"),
        (b"Which?,a,\x81,1\n", "Line 3 has bytes"),
        (f"Which?,a,{'b' * MAX_ROW_BYTES},1\n", f"more than {MAX_ROW_BYTES} bytes"),
        (f"Which?,a,{'b' * MAX_ROW_BYTES * 3},1\n", f"more than {MAX_ROW_BYTES} bytes"),
    ],
)
def test_a_row_that_cannot_be_an_item_says_why_and_stops_none_of_the_others(
    content: bytes | str, expected: str
) -> None:
    raw = content if isinstance(content, bytes) else content.encode()
    first, bad, last = records((HEAD + GOOD).encode() + raw + GOOD.encode())
    assert isinstance(bad, Rejected)
    assert expected in bad.reason
    assert bad.line == 3
    assert [record.draft for record in all_accepted([first, last])] == [ITEM, ITEM]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("kind", "essay", "essay is no kind"),
        ("kind", "true_false", "True and False, in this order"),
        ("difficulty", "extreme", "extreme"),
        ("collected_at", "yesterday", "collected_at is 'yesterday'"),
        ("collected_at", "2026-11-25", "collected_at is '2026-11-25'"),
        ("collected_at", "0001-01-01T00:00:00+05:00", "collected_at is"),
    ],
)
def test_a_cell_that_says_what_cannot_be_is_named(name: str, value: str, expected: str) -> None:
    (record,) = records(f"{name},{HEAD}{value},{GOOD}")
    assert isinstance(record, Rejected)
    assert expected in record.reason


def test_an_id_that_is_no_number_is_named() -> None:
    (record,) = records(VALID.decode().splitlines()[0] + "\nseven,single,Which?,a,b,,1,,,,,,,,\n")
    assert record == Rejected(2, "id is 'seven', not a whole number.")


def test_a_quotation_mark_that_is_not_closed_is_told_with_the_line_where_its_row_begins() -> None:
    first, bad = records(f'{HEAD}{GOOD}Which?,"a,b,1\n{GOOD * 3}')
    assert isinstance(first, Accepted)
    assert bad == Rejected(3, "unexpected end of data")


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("", "names no columns"),
        ("\n\n", "names no columns"),
        ("Some text.\n\nMore.\n", "names no columns"),
        ('["JSON"]', "names no columns"),
        ("stem,choice_1,right\n", "missing: choice_2"),
        ("stem\n", "missing: choice_1, choice_2, right"),
        (f"answer,hint,{HEAD}", "unknown: answer, hint"),
        (f"choice_21,{HEAD}", "unknown: choice_21"),
        (f"Stem,{HEAD}", "there twice: stem"),
        (f"id,{HEAD}", "missing: kind, explanation, category"),
        (f"{HEAD.strip()}{',x' * MAX_COLUMNS}\n", f"more than {MAX_COLUMNS} columns"),
        (HEAD.strip() + "x" * MAX_ROW_BYTES, f"more than {MAX_ROW_BYTES} bytes"),
    ],
)
def test_a_table_whose_columns_are_not_known_is_refused_as_a_whole(head: str, expected: str) -> None:
    with pytest.raises(UnreadableError, match=re.escape(expected)):
        records(head + GOOD)


def test_a_table_in_utf_16_is_refused_with_the_remedy() -> None:
    with pytest.raises(UnreadableError, match="save it as UTF-8"):
        records((HEAD + GOOD).encode("utf-16"))


def test_a_table_is_read_no_further_than_it_is_asked_for() -> None:
    stream = Endless(GOOD.encode(), HEAD.encode())
    parsed = parse(stream)
    assert [next(parsed).line for _ in range(3)] == [2, 3, 4]
    assert stream.bytes_read <= 64 * 1024


@pytest.mark.parametrize("piece", ["x", f"{'x' * 1000}\n", ","])
def test_a_row_of_any_length_takes_little_memory(piece: str) -> None:
    content = f'{HEAD}{GOOD}Which?,"{piece * (5 * 2**20 // len(piece))}",b,1\n{GOOD}'.encode()
    assert peak_of(parse, content) < 4 * 2**20
    assert [type(record) for record in records(content)][:2] == [Accepted, Rejected]


def rows(*drafts: ItemDraft) -> list[list[str]]:
    """The cells as a spreadsheet sees them."""
    text = "".join(dump(drafts))
    assert text.startswith("\ufeffid,kind,stem,choice_1,choice_2,")
    assert text.endswith("\r\n")
    return list(csv.reader(io.StringIO(text, newline="")))


def test_an_export_has_a_column_for_each_choice_of_the_item_that_has_most() -> None:
    fish = ItemDraft("multiple", "Which?", ("a", "b", "c"), (0, 2))
    head, first, second, third = rows(ITEM, fish, ItemDraft("true_false", "Emus run.", ("True", "False"), (0,)))
    assert head[:8] == ["\ufeffid", "kind", "stem", "choice_1", "choice_2", "choice_3", "right", "explanation"]
    assert first[:7] == ["", "single", "Which one flies?", "Crane", "Kiwi", "", "1"]
    assert second[:7] == ["", "multiple", "Which?", "a", "b", "c", "1; 3"]
    assert third[:7] == ["", "true_false", "Emus run.", "", "", "", "1"]


def test_an_export_names_the_item_of_each_row_and_an_import_finds_it_there() -> None:
    now = datetime(2026, 11, 25, tzinfo=UTC)
    item = Item(**vars(ITEM), id=7, version=2, created_at=now, changed_at=now)
    (record,) = all_accepted(records("".join(dump([item]))))
    assert (record.item_id, record.draft) == (7, ITEM)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@A1", "'=1", "''@A1", "'", "'a", "a=1", "\t=1", "\r=1", "\n=1"])
def test_no_cell_begins_like_a_formula_and_every_text_comes_back(text: str) -> None:
    item = replace(ITEM, stem=f"{text}?", choices=(f"{text}!", "b"), original=text)
    assert not [cell for cell in rows(item)[1] if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]
    result = draft("".join(dump([item])))
    assert result == replace(item, stem=item.stem.strip(), choices=(item.choices[0].strip(), "b"))


def test_an_export_is_written_in_bounded_memory() -> None:
    items = (replace(ITEM, stem=f"{number}{'?' * 4000}") for number in range(5000))
    assert peak_of(lambda stream: dump(items), b"") < 16 * 2**20


@given(st.lists(drafts(), min_size=1, max_size=4))
def test_what_is_written_is_read_again_without_loss(written: list[ItemDraft]) -> None:
    parsed = all_accepted(records("".join(dump(written))))
    assert [record.draft for record in parsed] == written
    assert not any(record.repaired or record.item_id for record in parsed)


@given(files(VALID))
def test_any_file_is_read_or_refused_with_a_reason(content: bytes) -> None:
    assert is_read_or_refused(parse, content)
