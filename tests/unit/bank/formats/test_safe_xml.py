"""Broken and hostile XML, read as Moodle XML."""

from __future__ import annotations

import pytest

from tests.unit.bank.moodle_files import GOOD, ITEM, VALID, before_the_break, in_quiz, records
from tests.unit.bank.strategies import Endless
from webapp.bank.formats.moodle_xml import parse
from webapp.bank.formats.parse_result import Accepted, Rejected, UnreadableError
from webapp.bank.formats.safe_xml import MAX_DEPTH, MAX_NAME_LENGTH, MAX_NAMES, MAX_TOKEN_BYTES


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("</quizz>", "line 3"),
        ("\n\n&nbsp;</quiz>", "line 5"),
        ("\x00", "line 3"),
        ("", "line 3"),
        ("<a>" * MAX_DEPTH, f"more than {MAX_DEPTH} elements"),
        ("".join(f"<a{number}/>" for number in range(MAX_NAMES + 1)), "too many names"),
        ("".join(f'<a b{number}=""/>' for number in range(MAX_NAMES + 1)), "too many names"),
        (f"<{'a' * (MAX_NAME_LENGTH + 1)}/>", "too long"),
        (f"<!--{'a' * MAX_TOKEN_BYTES * 2}-->", f"more than {MAX_TOKEN_BYTES} bytes"),
        (f'<a b="{"a" * MAX_TOKEN_BYTES * 2}"/>', f"more than {MAX_TOKEN_BYTES} bytes"),
    ],
)
def test_what_stands_before_a_broken_place_is_kept_and_the_line_is_told(after: str, expected: str) -> None:
    parsed, message = before_the_break(f"<quiz>\n{GOOD}{after}")
    assert parsed[0] == Accepted(2, ITEM)
    assert all(isinstance(record, Rejected) for record in parsed[1:])
    assert expected in message


@pytest.mark.parametrize(
    "head",
    [
        "<!DOCTYPE quiz>",
        '<!DOCTYPE quiz SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE quiz [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>',
        '<!DOCTYPE quiz [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE quiz [<!ENTITY % a SYSTEM "http://127.0.0.1/">%a;]>',
    ],
)
def test_no_document_brings_entities_or_anything_from_outside(head: str) -> None:
    parsed, message = before_the_break(f"{head}\n{in_quiz(GOOD)}")
    assert parsed == []
    assert "not allowed" in message


def test_an_encoding_with_an_endless_name_is_named_in_short() -> None:
    with pytest.raises(UnreadableError) as refused:
        records(f'<?xml version="1.0" encoding="UTF-8{"1" * 5000}"?>{VALID.decode()}'.encode())
    assert "unknown encoding" in str(refused.value)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("encoding", ["no-such", "shift_jis", "zip", "utf-7"])
def test_an_encoding_that_is_not_known_is_named(encoding: str) -> None:
    head = f'<?xml version="1.0" encoding="{encoding}"?>'
    assert before_the_break(f"{head}{in_quiz(GOOD)}")[0] == []


@pytest.mark.parametrize("before", [b"<quiz><!--", b"<quiz a='", b"<quiz><", b"<quiz><?a "])
def test_a_piece_without_an_end_is_not_waited_for(before: bytes) -> None:
    stream = Endless(b"a", before)
    with pytest.raises(UnreadableError):
        list(parse(stream))
    assert stream.bytes_read < 4 * MAX_TOKEN_BYTES


def test_names_without_an_end_are_not_gathered() -> None:
    class Names(Endless):
        chunks_read = 0

        def read(self, size: int, /) -> bytes:
            self.chunks_read += 1
            return b"".join(
                [b"<quiz>"] * (self.chunks_read == 1)
                + [b"<n%d/>" % (self.chunks_read * 100 + number) for number in range(100)]
            )

    stream = Names(b"")
    with pytest.raises(UnreadableError, match="names"):
        list(parse(stream))
    assert stream.chunks_read < 2 * MAX_NAMES / 100
