"""Moodle XML for the tests of its parser."""

from __future__ import annotations

import io
from functools import partial

import pytest

from tests.unit.bank.strategies import only_draft, read
from webapp.bank.formats.moodle_xml import parse
from webapp.bank.formats.parse_result import Record, UnreadableError
from webapp.bank.item_draft import ItemDraft

ANSWERS = '<answer fraction="100"><text>Crane</text></answer><answer fraction="0"><text>Kiwi</text></answer>'
STEM = "<questiontext><text>Which one flies?</text></questiontext>"
GOOD = f'<question type="multichoice">{STEM}{ANSWERS}</question>\n'
ITEM = ItemDraft("single", "Which one flies?", ("Crane", "Kiwi"), (0,))
VALID = b"""<?xml version="1.0" encoding="UTF-8"?>
<quiz>
<!-- question: 0  -->
  <question type="category">
    <category><text>$course$/top/Birds</text></category>
    <info format="html"><text></text></info>
  </question>

  <question type="multichoice">
    <!-- poolproof: {"difficulty": "easy", "licence": "CC0"} -->
    <name><text>Flying</text></name>
    <questiontext format="html"><text><![CDATA[<p>Which one <b>flies</b>?</p>]]></text></questiontext>
    <generalfeedback format="html"><text>&lt;p&gt;Emus run.&lt;/p&gt;</text></generalfeedback>
    <single>true</single>
    <answer fraction="100" format="html"><text>Crane</text><feedback format="html"><text>Yes.</text></feedback></answer>
    <answer fraction="0" format="html"><text><![CDATA[<p>Kiwi<br></p>]]></text></answer>
    <tags><tag><text>birds</text></tag></tags>
  </question>
  <question type="truefalse">
    <questiontext format="plain_text"><text>x &lt;b&gt; y</text></questiontext>
    <answer fraction="0"><text>true</text></answer>
    <answer fraction="100"><text>false</text></answer>
  </question>
</quiz>
"""

FILE = '<file name="crane.png" path="/" encoding="base64">iVBORw0KGgo=</file>'

records = partial(read, parse)


def in_quiz(*questions: str) -> str:
    return f"<quiz>\n{''.join(questions)}</quiz>"


def question(*, stem: str = STEM, answers: str = ANSWERS, more: str = "", type_: str = "multichoice") -> str:
    return f'<question type="{type_}">{stem}{answers}{more}</question>\n'


def draft(content: str) -> ItemDraft:
    return only_draft(parse, in_quiz(content))


def before_the_break(content: bytes | str) -> tuple[list[Record], str]:
    """The records before the break of a broken file, and the message of the error."""
    parsed: list[Record] = []
    with pytest.raises(UnreadableError) as error:
        parsed.extend(parse(io.BytesIO(content.encode() if isinstance(content, str) else content)))
    return parsed, str(error.value)


def with_stem(text: str, more: str = "") -> str:
    return question(stem=f"<questiontext><text><![CDATA[{text}]]></text>{more}</questiontext>")
