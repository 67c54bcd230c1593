from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.bank.moodle_files import (
    ANSWERS,
    FILE,
    GOOD,
    ITEM,
    STEM,
    VALID,
    before_the_break,
    draft,
    in_quiz,
    question,
    records,
    with_stem,
)
from tests.unit.bank.strategies import (
    Endless,
    all_accepted,
    drafts,
    files,
    is_read_or_refused,
    peak_of,
)
from webapp.bank.formats.moodle_question import MAX_QUESTION_CHARACTERS
from webapp.bank.formats.moodle_xml import dump, parse
from webapp.bank.formats.parse_result import Accepted, Rejected
from webapp.bank.item_draft import ItemDraft


def test_a_single_choice_becomes_an_item() -> None:
    assert draft(GOOD) == ITEM


def test_a_whole_file_is_read_with_its_lines_and_categories() -> None:
    first, second = records(VALID)
    flying = replace(ITEM, explanation="Emus run.", category="Birds", difficulty="easy", licence="CC0")
    assert first == Accepted(9, flying)
    assert second == Accepted(19, ItemDraft("true_false", "x <b> y", ("True", "False"), (1,), category="Birds"))


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [("utf-8", ""), ("utf-8-sig", ""), ("utf-16", ""), ("utf-16", "UTF-16"), ("latin-1", "ISO-8859-1")],
)
def test_a_file_may_have_any_of_the_usual_encodings(encoding: str, declared: str) -> None:
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    (record,) = all_accepted(records((head + in_quiz(GOOD.replace("Crane", "Grüne"))).encode(encoding)))
    assert record.draft.choices == ("Grüne", "Kiwi")


@pytest.mark.parametrize(
    ("form", "inside", "stem"),
    [
        ("html", "&lt;p&gt;a &amp;lt; b&lt;/p&gt;&lt;p&gt;c&lt;/p&gt;", "a < b\nc"),
        ("html", "<![CDATA[x<sup>2</sup>]]> and\n<![CDATA[y]]>", "x² and y"),
        ("plain_text", "a &lt;b&gt;\n c", "a <b>\n c"),
        ("markdown", "Why *now*?", "Why *now*?"),
        ("moodle_auto_format", "one\n&lt;b&gt;two&lt;/b&gt;", "one\ntwo"),
        ("", "&lt;b&gt;bold&lt;/b&gt;", "bold"),
        ("unheard_of", "&lt;b&gt;bold&lt;/b&gt;", "bold"),
    ],
)
def test_texts_of_every_format_are_reduced_to_what_is_seen(form: str, inside: str, stem: str) -> None:
    assert draft(question(stem=f'<questiontext format="{form}"><text>{inside}</text></questiontext>')).stem == stem


def test_an_answer_without_a_format_has_that_of_its_question() -> None:
    stem = '<questiontext format="plain_text"><text>Which tag?</text></questiontext>'
    answers = ANSWERS.replace("Crane", "&lt;b&gt;")
    assert draft(question(stem=stem, answers=answers)).choices == ("<b>", "Kiwi")


def answers_of(*fractions: str) -> str:
    return "".join(
        f'<answer fraction="{fraction}"><text>{fraction} {position}</text></answer>'
        for position, fraction in enumerate(fractions)
    )


@pytest.mark.parametrize(
    ("single", "fractions", "kind", "right"),
    [
        ("true", ("100", "50", "0"), "single", (0,)),
        ("1", ("0", "100.0"), "single", (1,)),
        ("false", ("50", "-33.33333", "50"), "multiple", (0, 2)),
        ("0", ("100", "0"), "multiple", (0,)),
        ("", ("33.33333", "66.66667"), "multiple", (0, 1)),
    ],
)
def test_fractions_say_which_choices_are_right(
    single: str, fractions: tuple[str, ...], kind: str, right: tuple[int, ...]
) -> None:
    result = draft(question(answers=answers_of(*fractions), more=f"<single>{single}</single>"))
    assert (result.kind, result.right) == (kind, right)


@pytest.mark.parametrize(
    ("path", "category"),
    [
        ("Birds", "Birds"),
        ("$course$/top/Animals/Birds", "Animals/Birds"),
        ("$module$/top", "Other"),
        ("top", "Other"),
        ("Sea//Air", "Sea/Air"),
        ("", "Other"),
    ],
)
def test_a_category_is_for_the_questions_after_it(path: str, category: str) -> None:
    moved = '<question type="category"><category><text>{}</text></category></question>'
    parsed = records(in_quiz(GOOD, moved.format(path), GOOD, moved.format("Fish"), GOOD), "Other")
    assert [record.draft.category for record in all_accepted(parsed)] == ["Other", category, "Fish"]


UNSUPPORTED = ["essay", "matching", "numerical", "shortanswer", "description", "cloze", "ddwtos", "calculated", ""]
MARKDOWN = '<questiontext format="markdown"><text>![Which](one.png)?</text></questiontext>'


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        *((question(type_=kind), f"type '{kind}' is not supported") for kind in UNSUPPORTED),
        ("<questions/>", "<questions> is no question"),
        (with_stem('<img src="@@PLUGINFILE@@/crane.png" alt="a crane">?', FILE), "picture"),
        (with_stem('<a href="@@PLUGINFILE@@/crane.pdf">This</a>?', FILE), "picture"),
        (with_stem("<math><mfrac><mn>1</mn><mn>2</mn></mfrac></math>?"), "formula"),
        (
            with_stem("Which?")
            .replace("<questiontext>", '<questiontext format="markdown">')
            .replace("Which", "![a](b)"),
            "picture",
        ),
        (question(answers=ANSWERS.replace("Kiwi", "&lt;IMG src='x'&gt;")), "picture"),
        (question(more="<image>crane.png</image><image_base64>iVBORw0KGgo=</image_base64>"), "picture"),
        (question(stem="<questiontext><text>Which <b>one</b>?</text></questiontext>"), "Line 3: <b> stands in a text"),
        (question(more=STEM), "a second <text> begins"),
        (question(answers=answers_of("100", "100")), "2 choices are right"),
        (question(answers=answers_of("0", "50")), "Say which choice is right"),
        (question(answers=answers_of("100", "half")), "'half'"),
        (question(answers=answers_of("100", "nan")), "'nan'"),
        (question(answers=answers_of("100", "1e999")), "'1e999'"),
        (question(answers=answers_of("100")), "2 to 20 choices, not 1"),
        (question(answers=answers_of("100", *["0"] * 20)), "at most 20 choices"),
        (question(answers=""), "2 to 20 choices, not 0"),
        (question(answers=ANSWERS.replace("Kiwi", "Crane")), "'Crane' is there twice"),
        (question(answers=ANSWERS.replace("Kiwi", "")), "A choice has 1 to 500"),
        (question(stem=""), "stem"),
        (question(type_="truefalse"), "true and false"),
        (question(type_="truefalse", answers=answers_of("100", "0")), "true and false"),
        (question(more="<!-- poolproof: { -->"), "not as we write it"),
        (question(more='<!-- poolproof: {"stem": "x"} -->'), "'stem'"),
        (question(more='<!-- poolproof: {"difficulty": "extreme"} -->'), "extreme"),
        (with_stem("<b>" * 30_000), "65536 characters of HTML"),
        (with_stem("x" * (MAX_QUESTION_CHARACTERS + 1)), f"more than {MAX_QUESTION_CHARACTERS} characters"),
        (
            with_stem("x]]><![CDATA[" * (MAX_QUESTION_CHARACTERS // 16)),
            f"more than {MAX_QUESTION_CHARACTERS} characters",
        ),
    ],
)
def test_a_question_that_cannot_be_an_item_says_why_and_stops_none_of_the_others(content: str, expected: str) -> None:
    first, bad, last = records(in_quiz(GOOD, content, GOOD))
    assert isinstance(bad, Rejected)
    assert expected in bad.reason
    assert bad.line == 3
    assert [record.draft for record in all_accepted([first, last])] == [ITEM, ITEM]


def test_files_that_no_text_shows_do_not_matter() -> None:
    stem = f"<questiontext><text>Which one flies?</text>{FILE}</questiontext>"
    assert draft(question(stem=stem, more=f"<generalfeedback><text/>{FILE * 3}</generalfeedback>")) == ITEM


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" \n",
        b"Some text.",
        b'["JSON"]',
        b"<html><body/></html>",
        b"\x89PNG\r\n\x1a\n",
        b"<quiz",
        b"::a:: b {=c ~d}",
    ],
)
def test_a_file_of_something_else_is_refused_as_a_whole(content: bytes) -> None:
    assert before_the_break(content)[0] == []


def test_a_question_that_the_file_breaks_in_is_named() -> None:
    parsed, message = before_the_break(f"<quiz>\n{GOOD}\n<question type='multichoice'>\n<questiontext></text>")
    assert parsed[1:] == [Rejected(4, "The file breaks in this question, at line 5.")]
    assert "from line 5 on" in message


def test_a_file_is_read_no_further_than_it_is_asked_for() -> None:
    stream = Endless(GOOD.encode(), b"<quiz>\n")
    parsed = parse(stream)
    assert [next(parsed).line for _ in range(3)] == [2, 3, 4]
    assert stream.bytes_read <= 128 * 1024


def test_files_and_texts_of_any_length_take_little_memory() -> None:
    large = FILE.replace("iVBOR", "iVBOR" * 2**20)
    content = in_quiz(GOOD, with_stem("x" * 5 * 2**20), with_stem("Which?", large), GOOD * 1000).encode()
    assert peak_of(parse, content) < 4 * 2**20
    assert len(records(content)) == 1003


def test_an_export_reads_as_moodle_does() -> None:
    birds = ItemDraft("single", "Which <one>?", ("C#", "50%"), (1,), "Why & so", "Sea/Air", "easy", "a--b")
    fish = ItemDraft("multiple", "Which?", ("a", "b", "c"), (0, 1))
    true = ItemDraft("true_false", "Emus run.", ("True", "False"), (0,), "They do.")
    lines = [line.strip() for line in "".join(dump([birds, fish, true])).splitlines()]
    assert lines[:13] == [
        '<?xml version="1.0" encoding="UTF-8"?>',
        "<quiz>",
        '<question type="category"><category><text>Sea//Air</text></category></question>',
        '<question type="multichoice">',
        '<!-- poolproof: {"difficulty": "easy", "source": "a\\u002d\\u002db"} -->',
        "<name><text>Which &lt;one&gt;?</text></name>",
        '<questiontext format="plain_text"><text>Which &lt;one&gt;?</text></questiontext>',
        '<generalfeedback format="plain_text"><text>Why &amp; so</text></generalfeedback>',
        "<single>true</single>",
        "<shuffleanswers>true</shuffleanswers>",
        '<answer fraction="0" format="plain_text"><text>C#</text></answer>',
        '<answer fraction="100" format="plain_text"><text>50%</text></answer>',
        "</question>",
    ]
    fractions = re.findall(r'fraction="(.*?)"', "".join(lines[13:]))
    assert fractions == ["50", "50", "-100", "100", "0"]


IS_XML = re.compile("[^\ufffe\uffff]*")


@given(st.lists(drafts(), min_size=1, max_size=4))
def test_what_is_written_is_read_again_without_loss(written: list[ItemDraft]) -> None:
    refused: list[ItemDraft] = []
    parsed = records("".join(dump(written, lambda item, reason: refused.append(item))))
    accepted = [item for item in written if item not in refused]
    assert [record.draft for record in all_accepted(parsed)] == accepted
    for item in written:
        is_writable = IS_XML.fullmatch("".join((item.stem, *item.choices, item.explanation, item.category or "")))
        assert (item in refused) != bool(is_writable)


def test_answers_that_are_not_to_be_shuffled_are_pinned() -> None:
    kept = GOOD.replace("<answer", "<shuffleanswers>false</shuffleanswers><answer", 1)
    assert draft(kept) == replace(ITEM, pinned=(0, 1))
    assert "<shuffleanswers>false</shuffleanswers>" in "".join(dump([draft(kept)]))
    assert draft(kept.replace("false", "true")) == ITEM


def test_an_item_that_xml_cannot_hold_is_refused_by_name() -> None:
    reasons: list[str] = []
    written = [replace(ITEM, stem="Which\uffff?"), replace(ITEM, source="\uffff")]
    parsed = records("".join(dump(written, lambda _, reason: reasons.append(reason))))
    assert reasons == ["XML has no place for the character U+FFFF."]
    assert [record.draft for record in all_accepted(parsed)] == written[1:]


@given(files(VALID))
def test_any_file_is_read_or_refused_with_a_reason(content: bytes) -> None:
    assert is_read_or_refused(parse, content)
