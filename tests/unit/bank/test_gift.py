from __future__ import annotations

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
from webapp.bank.formats.gift import MAX_QUESTION_BYTES, dump, parse
from webapp.bank.formats.parse_result import Accepted, Rejected, UnreadableError, normalize_line_breaks
from webapp.bank.item_draft import ItemDraft

GOOD = "Which one flies? {\n=Crane\n~Kiwi\n~Emu\n}\n\n"
VALID = b"""// a comment
$CATEGORY: $course$/top/Birds

::One:: [html]<p>Which one <b>flies</b>?</p>{=Crane#Yes ~Kiwi ####<p>Emus run.</p>}

// poolproof: {"difficulty": "easy", "licence": "CC0"}
Penguins fly. {F#No.#Right.}

Both \\= are {~%50%a ~%50%b ~%-100%c} here.
"""

records = partial(read, parse)
draft = partial(only_draft, parse)


def test_a_single_choice_becomes_an_item() -> None:
    assert draft(GOOD) == ItemDraft("single", "Which one flies?", ("Crane", "Kiwi", "Emu"), (0,))


def test_a_whole_file_is_read_with_its_lines_and_categories() -> None:
    first, second, third = all_accepted(records(VALID))
    assert first == Accepted(4, ItemDraft("single", "Which one flies?", ("Crane", "Kiwi"), (0,), "Emus run.", "Birds"))
    assert (second.line, second.draft.right, second.draft.category) == (7, (1,), "Birds")
    assert (second.draft.difficulty, second.draft.licence) == ("easy", "CC0")
    assert (third.line, third.draft.kind, third.draft.stem) == (9, "multiple", "Both = are _____ here.")
    assert (third.draft.choices, third.draft.right) == (("a", "b", "c"), (0, 1))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_byte_order_marks_do_not_matter(end: str, mark: str) -> None:
    content = mark + (GOOD * 2).replace("\n", end)
    assert [(record.line, record.draft) for record in all_accepted(records(content))] == [
        (1, draft(GOOD)),
        (7, draft(GOOD)),
    ]


@pytest.mark.parametrize(("answers", "right"), [("T", 0), ("TRUE", 0), ("F", 1), (" FALSE ", 1), ("T#no#yes", 0)])
def test_true_and_false_have_four_spellings(answers: str, right: int) -> None:
    assert draft(f"Emus run.{{{answers}}}") == ItemDraft("true_false", "Emus run.", ("True", "False"), (right,))


@pytest.mark.parametrize(
    ("content", "stem", "choices"),
    [
        (r"See http\://a.b/c?d\=e {=x ~y}", "See http://a.b/c?d=e", ("x", "y")),
        (r"What is $\\frac\{1\}\{2\}$? {=0.5 ~2}", r"What is $\frac{1}{2}$?", ("0.5", "2")),
        (r"Which \alpha? {=\beta ~\gamma}", r"Which \alpha?", (r"\beta", r"\gamma")),
        (r"Two\nlines {=a\nb ~c}", "Two\nlines", ("a\nb", "c")),
        (r"A backslash \\n {=\\ ~/}", r"A backslash \n", ("\\", "/")),
        ("How much? {=50% of it ~100 % ~%0%%5 off}", "How much?", ("50% of it", "100 %", "%5 off")),
        (r"Which? {=C\##Sharp! ~C#Flat # flatter}", "Which?", ("C#", "C")),
        ("What maps? {=a -> b ~a <- c}", "What maps?", ("a -> b", "a <- c")),
        ("::A name: of it:: Why? {=a ~b}", "Why?", ("a", "b")),
        (r"::A \:\: name::Why? {=a ~b}", "Why?", ("a", "b")),
        ("[markdown] Why *now*? {=a ~b}", "Why *now*?", ("a", "b")),
        ("[maybe] Why? {=a ~b}", "[maybe] Why?", ("a", "b")),
        ("Grant {~lies =rests} in a tomb.", "Grant _____ in a tomb.", ("lies", "rests")),
        ("Why\u00a0now? {\u00a0=a ~\u00a0b\u00a0}", "Why\u00a0now?", ("a", "b")),
        ("One\n// no line of it\nTwo {=a\n//~no choice\n~b}", "One\nTwo", ("a", "b")),
        ("[html]x<sup>2</sup> &lt; H<sub>2</sub>O<br>and<p>so</p> {=<i>a</i> ~[plain]<b>}", None, ("a", "<b>")),
    ],
)
def test_what_is_escaped_or_looks_special_is_read_as_text(
    content: str, stem: str | None, choices: tuple[str, ...]
) -> None:
    result = draft(content)
    assert result.stem == ("x² < H₂O\nand\nso" if stem is None else stem)
    assert result.choices == choices


@pytest.mark.parametrize(
    ("content", "kind", "right"),
    [
        ("Which? {=a ~%50%b ~c}", "single", (0,)),
        ("Which? {~%50%a ~%-33.333%b ~%50%c}", "multiple", (0, 2)),
        ("Which? {~%100%a ~b}", "multiple", (0,)),
        ("Which? {~%33.33333%a ~%66.66667%b}", "multiple", (0, 1)),
    ],
)
def test_weights_say_which_choices_are_right(content: str, kind: str, right: tuple[int, ...]) -> None:
    assert (draft(content).kind, draft(content).right) == (kind, right)


@pytest.mark.parametrize(
    ("line", "category"),
    [
        ("Birds", "Birds"),
        ("Animals/Birds", "Animals/Birds"),
        ("$course$/top/Animals/Birds", "Animals/Birds"),
        ("$course$", "Other"),
        ("$course$/top", "Other"),
        ("top", "Other"),
        ("Sea//Air", "Sea/Air"),
        ("", "Other"),
    ],
)
def test_a_category_is_for_the_questions_after_it(line: str, category: str) -> None:
    parsed = all_accepted(records(f"{GOOD}$CATEGORY: {line}\n{GOOD}$CATEGORY: Fish\n\n{GOOD}", "Other"))
    assert [record.draft.category for record in parsed] == ["Other", category, "Fish"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("Why? {}", "An essay is not supported"),
        ("How many? {#3:1}", "A numerical question is not supported"),
        ("Match. {=a -> b =c -> d}", "A matching question is not supported"),
        ("Who? {=Grant =Ulysses}", "A short answer is not supported"),
        ("Who? {=only}", "A short answer is not supported"),
        (r"Which? {=see a \-> b}", "A matching question is not supported"),
        ("Penguins fly. {maybe}", "A short answer is not supported"),
        ("Just a text.\n\n{T}", "A description, which asks nothing, is not supported"),
        ("Who? {~only}", "2 to 20 choices, not 1"),
        ("What maps? {=a -> b ~a => c}", "of which 2 choices are right"),
        ("Who? {=a =b ~c}", "of which 2 choices are right"),
        ("Who? {~a ~b}", "Say which choice is right"),
        ("Who? {a ~b =c}", "Before the first choice"),
        ("Who? {=a ~a}", "'a' is there twice"),
        ("Who? {=a ~}", "A choice has 1 to 500"),
        ("What is $\\frac{1}{2}$? {=a ~b}", "braces after the answers"),
        ("Who? {=a ~b}\nAnd who? {=a ~b}", "braces after the answers"),
        ("Who? {=a ~b", "not closed"),
        ("Who? =a ~b}", "A } closes"),
        ("::Who? {=a ~b}", "no :: at its end"),
        ("{T}", "stem"),
        ("Who? {=a ~\x01}", "cannot be stored"),
        (b"Who? {=a ~\x81}", "Line 7 has bytes"),
        ("// poolproof: {\nWho? {=a ~b}", "not as we write it"),
        ('// poolproof: {"stem": "x"}\nWho? {=a ~b}', "'stem'"),
        ('// poolproof: {"difficulty": "extreme"}\nWho? {=a ~b}', "extreme"),
        (f"[html]{'<b>' * 30_000} {{=a ~b}}", "65536 characters of HTML"),
        (f"Who? {{=a ~{'b' * MAX_QUESTION_BYTES}}}", "more than 262144 bytes"),
        ("Who?\n" + "and who?\n" * MAX_QUESTION_BYTES + "{=a ~b}", "more than 262144 bytes"),
    ],
)
def test_a_question_that_cannot_be_an_item_says_why_and_stops_none_of_the_others(
    content: bytes | str, expected: str
) -> None:
    raw = content if isinstance(content, bytes) else content.encode()
    first, bad, *_, last = records(GOOD.encode() + raw + b"\n\n" + GOOD.encode())
    assert isinstance(bad, Rejected)
    assert expected in bad.reason
    assert 7 <= bad.line <= 8
    assert isinstance(first, Accepted)
    assert isinstance(last, Accepted)


def test_an_old_file_in_windows_1252_is_read_and_reported_as_mended() -> None:
    (record,) = all_accepted(records("Où? {=là ~ici}".encode("cp1252")))
    assert (record.repaired, record.draft.stem, record.draft.choices) == (True, "Où?", ("là", "ici"))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"Some text.\n\nMore.\n", b'["JSON"]', GOOD.encode("utf-16")])
def test_a_file_of_something_else_is_refused_as_a_whole(content: bytes) -> None:
    with pytest.raises(UnreadableError):
        records(content)


def test_a_file_is_read_no_further_than_it_is_asked_for() -> None:
    stream = Endless(GOOD.encode())
    parsed = parse(stream)
    assert [next(parsed).line for _ in range(3)] == [1, 7, 13]
    assert stream.bytes_read <= 64 * 1024


def test_a_question_of_any_length_takes_little_memory() -> None:
    content = GOOD.encode() + b"x" * 20 * 2**20 + b"{T}\n\n" + GOOD.encode()
    assert [type(record) for record in records(content)] == [Accepted, Rejected, Accepted]
    assert peak_of(parse, content) < 4 * 2**20


def test_an_export_reads_as_gift_does() -> None:
    birds = ItemDraft("single", "Which?\nNow: {a}", ("C#", "50%", "%5"), (2,), "Why = so", "Sea/Air", "easy")
    fish = ItemDraft("multiple", "Which?", ("[a]", "b", "c"), (0, 1))
    true = ItemDraft("true_false", "Emus run.", ("True", "False"), (0,), "They do.")
    assert "".join(dump([birds, fish, true])) == (
        "$CATEGORY: Sea//Air\n\n"
        '// poolproof: {"difficulty": "easy"}\n'
        "[plain]Which?\\nNow\\: \\{a\\} {\n\t~C\\#\n\t~50%\n\t=[plain]%5\n\t####Why \\= so\n}\n\n"
        "$CATEGORY: top\n\n"
        "[plain]Which? {\n\t~%50%[plain][a]\n\t~%50%b\n\t~%-100%c\n}\n\n"
        "[plain]Emus run. {TRUE####They do.}\n\n"
    )


@given(st.lists(drafts(), min_size=1, max_size=4))
def test_what_is_written_is_read_again_without_loss(written: list[ItemDraft]) -> None:
    parsed = all_accepted(records("".join(dump(written))))
    assert [record.draft for record in parsed] == [normalize_line_breaks(item) for item in written]


@given(files(VALID))
def test_any_file_is_read_or_refused_with_a_reason(content: bytes) -> None:
    assert is_read_or_refused(parse, content)
