"""Moodle XML, after Moodle's description of it (docs.moodle.org, "Moodle XML format") and what its importer does.

    <quiz>
      <question type="category"><category><text>$course$/top/Animals/Birds</text></category></question>
      <question type="multichoice">
        <questiontext format="html"><text><![CDATA[<p>Which one <b>flies</b>?</p>]]></text></questiontext>
        <single>true</single>
        <answer fraction="100"><text>Crane</text></answer>
        <answer fraction="0"><text>Kiwi</text></answer>
      </question>
    </quiz>

True/false, single and multiple choice are read; all other types are rejected by name, and so is
what needs a picture. HTML becomes its visible text. Where the answers are not to be shuffled, all choices
are pinned. Names, tags, hints, feedback on single choices and partial credit (see
`moodle_common.find_right_choices`) are lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape

from webapp.bank.formats import metadata_comment
from webapp.bank.formats.moodle_common import format_category_path, format_fraction, parse_category_path
from webapp.bank.formats.moodle_question import MoodleQuestion
from webapp.bank.formats.parse_result import ByteStream, Record, Rejected, UnreadableError, UnsupportedCallback
from webapp.bank.formats.safe_xml import (
    BrokenXmlError,
    Comment,
    EndElement,
    StartElement,
    TextContent,
    XmlEvent,
    iter_events,
)
from webapp.bank.item_draft import ItemDraft
from webapp.bank.item_kinds import Kind

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MAX_NAME_LENGTH = 60
# A literal CR would be read as LF.
_ESCAPES = {"\r": "&#13;"}
# A comment may have no "--"; in JSON a hyphen stands in texts only, where it may be escaped.
_HYPHEN = r"\u002d"


class _QuizParser:
    """The present position in the document: the open elements, the category and the question."""

    def __init__(self, category: str | None) -> None:
        self._default_category = self._current_category = category
        self._path: list[str] = []
        self.question: MoodleQuestion | None = None

    def handle(self, event: XmlEvent) -> Record | None:
        """Process an event; return a record when it completes one."""
        match event:
            case StartElement():
                self._path.append(event.name)
                return self._start_element(event)
            case EndElement():
                self._path.pop()
                return self._end_question() if len(self._path) == 1 else None
            case TextContent() if self.question is not None:
                self.question.add_text("/".join(self._path[2:]), event.text)
            case Comment() if self.question is not None:
                self.question.add_comment(event.text)
        return None

    def _start_element(self, start: StartElement) -> Record | None:
        if len(self._path) == 1 and start.name != "quiz":
            raise UnreadableError(f"the document is a <{start.name}>, not a <quiz>; this is no Moodle XML")
        if self.question is not None:
            self.question.start_element("/".join(self._path[2:]), start)
        elif start.name == "question" and self._path == ["quiz", "question"]:
            self.question = MoodleQuestion(start.line, start.attributes.get("type", "").strip())
        elif len(self._path) == 2:  # noqa: PLR2004 - a child of <quiz>
            return Rejected(start.line, f"<{start.name}> is no question.")
        return None

    def _end_question(self) -> Record | None:
        question, self.question = self.question, None
        if question is None:
            return None
        if question.type == "category" and question.error is None:
            self._current_category = parse_category_path(question.category_path) or self._default_category
            return None
        return question.to_record(self._current_category)


def parse(stream: ByteStream, category: str | None = None) -> Iterator[Record]:
    """Yield a record for every question, in order; `category` is for those under no category.

    Raises:
        UnreadableError: when it is no XML or none of Moodle's; when it breaks in the middle,
            after the records before that place.
    """
    document = _QuizParser(category)
    try:
        for event in iter_events(stream):
            record = document.handle(event)
            if record is not None:
                yield record
    except BrokenXmlError as error:
        if document.question is not None:
            yield Rejected(document.question.line, f"The file breaks in this question, at line {error.line}.")
        raise


def dump(drafts: Iterable[ItemDraft], on_unsupported: UnsupportedCallback | None = None) -> Iterator[str]:
    """Yield a question for every item whose characters XML can hold.

    What Moodle has no place for is written as a comment that `parse` understands. Items of one
    category should come together.
    """
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<quiz>\n'
    present: str | None = None
    for draft in drafts:
        texts = (draft.stem, *draft.choices, draft.explanation, draft.category or "")
        invalid = _NOT_IN_XML.search("".join(texts))
        if invalid is None:
            if draft.category != present:
                present = draft.category
                yield _category_element(present)
            yield _question_element(draft)
        elif on_unsupported is not None:
            on_unsupported(draft, f"XML has no place for the character U+{ord(invalid[0]):04X}.")
    yield "</quiz>\n"


def _category_element(category: str | None) -> str:
    path = _text_element(format_category_path(category))
    return f'<question type="category"><category>{path}</category></question>\n'


def _question_element(draft: ItemDraft) -> str:
    is_exact = parse_category_path(format_category_path(draft.category)) == draft.category
    comment = metadata_comment.format_comment(draft, with_category=not is_exact)
    lines = [
        *([f"<!-- {comment.replace('-', _HYPHEN)} -->"] if comment else []),
        f"<name>{_text_element(' '.join(draft.stem.split())[:_MAX_NAME_LENGTH])}</name>",
        f'<questiontext format="plain_text">{_text_element(draft.stem)}</questiontext>',
        f'<generalfeedback format="plain_text">{_text_element(draft.explanation)}</generalfeedback>',
    ]
    if draft.kind == Kind.TRUE_FALSE:
        is_true = draft.right == (0,)
        lines += [
            _answer_element("true", "100" if is_true else "0"),
            _answer_element("false", "0" if is_true else "100"),
        ]
        return "\n  ".join(['<question type="truefalse">', *lines]) + "\n</question>\n"
    is_single = draft.kind == Kind.SINGLE
    # Moodle keeps the order of all choices or of none.
    is_shuffled = len(draft.pinned) < len(draft.choices)
    lines += [_switch_element("single", is_single), _switch_element("shuffleanswers", is_shuffled)]
    for position, choice in enumerate(draft.choices):
        fraction = format_fraction(position, draft.right)
        if is_single:
            fraction = "100" if position in draft.right else "0"
        lines.append(_answer_element(choice, fraction))
    return "\n  ".join(['<question type="multichoice">', *lines]) + "\n</question>\n"


def _switch_element(name: str, is_on: bool) -> str:  # noqa: FBT001 - the switch itself
    return f"<{name}>{str(is_on).lower()}</{name}>"


def _text_element(text: str) -> str:
    return f"<text>{escape(text, _ESCAPES)}</text>"


def _answer_element(text: str, fraction: str) -> str:
    return f'<answer fraction="{fraction}" format="plain_text">{_text_element(text)}</answer>'
