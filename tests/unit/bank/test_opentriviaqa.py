from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from hypothesis import given

from tests.unit.bank.strategies import all_accepted, files, is_read_or_refused
from webapp.bank.formats.opentriviaqa import MAX_RECORD_BYTES, parse
from webapp.bank.formats.parse_result import Accepted, Record, Rejected, UnreadableError
from webapp.bank.item_draft import ItemDraft

GOOD = b"#Q Which bird cannot fly?\n^ Kiwi\nA Swift\nB Kiwi\nC Crane\n\n"


def records(content: bytes | str) -> list[Record]:
    raw = content.encode() if isinstance(content, str) else content
    return list(parse(io.BytesIO(raw), "Birds"))


def draft(content: bytes | str) -> ItemDraft:
    (record,) = records(content)
    assert isinstance(record, Accepted), record
    return record.draft


def reason(content: bytes | str) -> str:
    (record,) = records(content)
    assert isinstance(record, Rejected), record
    return record.reason


def test_a_record_becomes_an_item_with_its_source_and_licence() -> None:
    assert draft(GOOD) == ItemDraft(
        kind="single",
        stem="Which bird cannot fly?",
        choices=("Swift", "Kiwi", "Crane"),
        right=(1,),
        category="Birds",
        source="OpenTriviaQA",
        licence="CC BY-SA 4.0",
    )


def test_records_are_told_apart_by_their_first_line() -> None:
    assert [record.line for record in records(b"\n\n" + GOOD + b"\n" + GOOD)] == [3, 10]


@pytest.mark.parametrize(
    "same",
    [
        GOOD.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + GOOD,
        GOOD.rstrip(b"\n"),
        GOOD.replace(b"\nB", b"\n\n \t\nB"),
        GOOD.replace(b" Kiwi", b"   Kiwi \t"),
        b"\r\n\n" + GOOD + b"\r\n \n",
    ],
)
def test_line_ends_byte_order_marks_and_stray_blanks_do_not_matter(same: bytes) -> None:
    assert draft(same) == draft(GOOD)


def test_true_and_false_stand_in_their_usual_order() -> None:
    result = draft("#Q Penguins can fly.\n^ False\nA False\nB True\n")
    assert (result.kind, result.choices, result.right) == ("true_false", ("True", "False"), (1,))


def test_a_stem_goes_on_over_blank_lines_and_lines_like_options() -> None:
    result = draft("#Q Who says this?\n\nA Come down!\nB: No!\n ...\n^ Two owls\nA One owl\nB Two owls\n")
    assert result.stem == "Who says this?\n\nA Come down!\nB: No!\n ..."
    assert result.choices == ("One owl", "Two owls")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"the \xe2\x80\x9cbig\xe2\x80? nest", "the “big” nest"),
        (b"the \x93big\x94 nest", "the “big” nest"),
        (b"a b\xe4r", "a bär"),
        (b"caf\xe9 \xe2\x80?", "cafÃ©".replace("Ã©", "é") + " â€?"),
    ],
)
def test_broken_bytes_are_mended_line_by_line_and_reported(raw: bytes, text: str) -> None:
    content = b"#Q What is " + raw + b"?\n^ N\xc3\xadd\nA N\xc3\xadd\nB Egg\n"
    (record,) = all_accepted(records(content))
    assert record.repaired
    assert record.draft.stem == f"What is {text}?"
    assert record.draft.choices == ("Níd", "Egg")


def test_sound_records_are_not_reported_as_mended() -> None:
    broken = GOOD.replace(b"Swift", b"Sw\xefft")
    assert [record.repaired for record in all_accepted(records(GOOD + broken + GOOD))] == [False, True, False]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("#Q Why?\nA One\nB Two\n", "no line that begins with ^"),
        ("#Q Why?\n^ One\n", "no option"),
        ("#Q Why?\n^ Three\nA One\nB Two\n", "'Three' matches no option"),
        ("#Q Why?\n^ one\nA One\nB Two\n", "'one' matches no option"),
        ("#Q Why?\n^ One\nA One\nB One\n", "'One' matches 2 options"),
        ("#Q Why?\n^ One\nA One\nB Two\nC Two\n", "'Two' is there twice"),
        ("#Q Why?\n^ One\nA One\nB \nC Two\n", "Option 2 of 3 is empty"),
        ("#Q Why?\n^ One\nA One\nB\n", "Option 2 of 2 is empty"),
        ("#Q Why?\n^\nA One\nB Two\n", "'' matches no option"),
        ("#Q Why?\n^ One\nA One\nB Two\nand more\n", "no option: 'and more'"),
        ("#Q Why?\n^ One\n^ Two\nA One\nB Two\n", "no option: '^ Two'"),
        ("#Q \n^ One\nA One\nB Two\n", "stem"),
        ("#Q Why?\n^ One\nA One\n", "2 to 20 choices"),
        (f"#Q {'x' * 4001}\n^ One\nA One\nB Two\n", "4000"),
        (f"#Q Why?\n^ One\nA One\nB {'x' * 501}\n", "500"),
        ("#Q Why\x00?\n^ One\nA One\nB Two\n", "cannot be stored"),
        (b"#Q Why?\n^ One\nA One\nB \x81\n", "Line 4 has bytes"),
        (f"#Q {'x' * MAX_RECORD_BYTES}\n^ One\nA One\nB Two\n", "more than 262144 bytes"),
        (f"#Q Why?\n{'x ' * MAX_RECORD_BYTES * 3}\n^ One\nA One\nB Two\n", "more than 262144 bytes"),
        ("#Q Why?\n" + "\n" * MAX_RECORD_BYTES + "^ One\nA One\nB Two\n", "more than 262144 bytes"),
    ],
)
def test_a_record_that_cannot_be_an_item_says_why(content: bytes | str, expected: str) -> None:
    assert expected in reason(content)


def test_a_bad_record_stops_none_of_the_others() -> None:
    bad = b"#Q Why?\n^ One\nA Two\n"
    long = b"#Q " + b"x" * MAX_RECORD_BYTES * 2 + b"\n"
    parsed = records(GOOD + bad + long + GOOD)
    assert [(type(record), record.line) for record in parsed] == [
        (Accepted, 1),
        (Rejected, 7),
        (Rejected, 10),
        (Accepted, 11),
    ]


@pytest.mark.parametrize(
    "content",
    [b"", b"\n \r\n", b"Which bird?\n^ Kiwi\n", GOOD.decode().encode("utf-16"), b"\x89PNG\r\n", b'{"items": []}'],
)
def test_a_file_of_something_else_is_refused_as_a_whole(content: bytes) -> None:
    with pytest.raises(UnreadableError, match="OpenTriviaQA"):
        records(content)


def test_a_file_is_read_no_further_than_it_is_asked_for() -> None:
    class Endless:
        line_count = 0

        def readline(self, size: int, /) -> bytes:
            self.line_count += 1
            return b"#Q Again?\n" if self.line_count % 2 else b"^ No\n"

        def read(self, size: int, /) -> bytes:
            raise AssertionError("the whole file was asked for")

    stream = Endless()
    parsed: Iterator[Record] = parse(stream, None)
    assert [next(parsed).line for _ in range(3)] == [1, 3, 5]
    assert stream.line_count < 10


@given(files(GOOD + b"#Q Is it \x93big\x94?\r\n^ True\nA True\nB False\n"))
def test_any_file_is_read_or_refused_with_a_reason(content: bytes) -> None:
    assert is_read_or_refused(parse, content)
