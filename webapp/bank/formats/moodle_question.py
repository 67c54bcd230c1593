"""One question of Moodle XML: what is read of it, and the item that it becomes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from webapp.bank.formats import metadata_comment
from webapp.bank.formats.html_text import extract_text, has_non_text_content
from webapp.bank.formats.moodle_common import UnsupportedQuestionError, find_right_choices, unsupported_type
from webapp.bank.formats.parse_result import Record, Rejected, validate_record
from webapp.bank.formats.safe_xml import StartElement
from webapp.bank.item_draft import MAX_CHOICES, TRUE_AND_FALSE, ItemDraft
from webapp.bank.item_kinds import Kind

MAX_QUESTION_CHARACTERS = 1024 * 1024
"""Characters of all the texts of a question that are read; files in it do not count."""

_STEM, _EXPLANATION, _CATEGORY = "questiontext/text", "generalfeedback/text", "category/text"
_ANSWER, _SINGLE, _SHUFFLED = "answer/text", "single", "shuffleanswers"
_TEXT_PATHS = {_STEM, _EXPLANATION, _CATEGORY, _ANSWER, _SINGLE, _SHUFFLED}
_FALSE = {"false", "0", ""}
_PICTURE_ELEMENTS = {"image", "image_base64"}
_PLAIN_FORMATS = {"plain_text", "markdown", "wiki_like"}
_MARKDOWN_PICTURE = re.compile(r"!\[[^\]]*\][(\[]")
_NUMBER = re.compile(r"-?[0-9]{1,10}(\.[0-9]{0,20})?")
# What a piece of a text takes beside its characters: a file may cut a text into very many pieces.
_PIECE_OVERHEAD = 16


@dataclass
class QuestionText:
    """A text with its format, and what choosing it is worth, in percent, when it is an answer."""

    text_format: str | None = None
    fraction: str = "0"
    pieces: list[str] = field(default_factory=list)
    is_started: bool = False

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces)


@dataclass
class MoodleQuestion:
    """What has been read of one question; after an error nothing more is kept.

    The `path` of an element is the names of the elements around it and its own, beginning below the question.
    """

    line: int
    type: str
    parts: dict[str, QuestionText] = field(default_factory=dict)
    answers: list[QuestionText] = field(default_factory=list)
    size: int = 0
    error: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Reject a type that is not supported."""
        if self.type not in {"multichoice", "truefalse", "category"}:
            self.reject(str(unsupported_type(f"A question of type {self.type[:40]!r}")))

    def start_element(self, path: str, start: StartElement) -> None:
        """Note the beginning of an element."""
        if self.error is not None:
            return
        parent, _, name = path.rpartition("/")
        if path in _PICTURE_ELEMENTS:
            self.reject("It shows a picture; an item is text.")
        elif parent in _TEXT_PATHS:
            self.reject(f"Line {start.line}: <{name}> stands in a text; there HTML is escaped or in CDATA.")
        elif path == "answer":
            self._start_answer(start)
        elif f"{path}/text" in _TEXT_PATHS:
            self.parts.setdefault(f"{path}/text", QuestionText(start.attributes.get("format")))
        elif path in _TEXT_PATHS:
            self._start_text(path, start)

    def _start_answer(self, start: StartElement) -> None:
        self.answers.append(QuestionText(start.attributes.get("format"), start.attributes.get("fraction", "0")))
        if len(self.answers) > MAX_CHOICES:
            self.reject(f"An item has at most {MAX_CHOICES} choices.")

    def _start_text(self, path: str, start: StartElement) -> None:
        part = self._get_part(path)
        if part.is_started:
            self.reject(f"Line {start.line}: here a second <{start.name}> begins.")
        part.is_started = True

    def add_text(self, path: str, text: str) -> None:
        """Add a piece of text, as long as the question is not too long."""
        if path not in _TEXT_PATHS or self.error is not None:
            return
        self.size += len(text) + _PIECE_OVERHEAD
        self._get_part(path).pieces.append(text)
        if self.size > MAX_QUESTION_CHARACTERS:
            self.reject(f"The question has more than {MAX_QUESTION_CHARACTERS} characters.")

    def add_comment(self, text: str) -> None:
        """Add the metadata of the question, if the comment is one of ours."""
        try:
            self.metadata |= metadata_comment.parse_comment(text) or {}
        except ValueError as error:
            self.reject(str(error))

    def reject(self, reason: str) -> None:
        """Keep the first error, and nothing else."""
        self.error = self.error or reason
        self.parts, self.answers = {}, []

    @property
    def category_path(self) -> str:
        """The category that a question of type "category" names."""
        return self._get_part(_CATEGORY).text

    def to_record(self, category: str | None) -> Record:
        """Return the record, now that the question is complete."""
        if self.error is not None:
            return Rejected(self.line, self.error)
        try:
            draft = self._to_draft({"category": category} | self.metadata)
        except (UnsupportedQuestionError, ValueError) as error:
            return Rejected(self.line, str(error))
        return validate_record(self.line, draft)

    def _get_part(self, path: str) -> QuestionText:
        if path == _ANSWER and self.answers:
            return self.answers[-1]
        return self.parts.setdefault(path, QuestionText())

    def _to_draft(self, fields: dict[str, Any]) -> ItemDraft:
        text_format = self._get_part(_STEM).text_format or "html"
        choices = tuple(_required_text(answer, text_format) for answer in self.answers)
        weights = [_parse_fraction(answer.fraction) for answer in self.answers]
        if self.type == "truefalse":
            kind, right = Kind.TRUE_FALSE, find_right_choices(weights, is_single=True)
            choices, right = _order_true_false(choices, right)
        else:
            kind = Kind.SINGLE if self._is_set(_SINGLE) else Kind.MULTIPLE
            right = find_right_choices(weights, is_single=self._is_set(_SINGLE))
        return ItemDraft(
            kind=kind,
            stem=_required_text(self._get_part(_STEM), text_format),
            choices=choices,
            right=right,
            explanation=_plain_text(self._get_part(_EXPLANATION), text_format),
            **{"pinned": () if self._is_set(_SHUFFLED) else tuple(range(len(choices)))} | fields,
        )

    def _is_set(self, path: str) -> bool:
        """Say whether a switch is on, as it is where the question does not name it."""
        return path not in self.parts or self.parts[path].text.strip() not in _FALSE


def _order_true_false(choices: tuple[str, ...], right: tuple[int, ...]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return True and False in their usual order, and which of them is right."""
    names = [choice.strip().capitalize() for choice in choices]
    if sorted(names) != sorted(TRUE_AND_FALSE):
        raise UnsupportedQuestionError("The answers of a true/false question are true and false.")
    return TRUE_AND_FALSE, tuple(TRUE_AND_FALSE.index(names[position]) for position in right)


def _parse_fraction(fraction: str) -> float:
    if _NUMBER.fullmatch(fraction.strip()) is None:
        raise UnsupportedQuestionError(f"The fraction {fraction[:40]!r} of an answer is no number.")
    return float(fraction)


def _required_text(part: QuestionText, inherited: str) -> str:
    """Return the text of a part that may have no other content.

    Raises:
        UnsupportedQuestionError: when it has a picture, sound, film or formula.
    """
    text_format, text = part.text_format or inherited, part.text
    is_markdown = text_format == "markdown"
    has_other_content = _MARKDOWN_PICTURE.search(text) is not None if is_markdown else has_non_text_content(text)
    if has_other_content and text_format != "plain_text":
        raise UnsupportedQuestionError("It shows a picture, sound, film or formula; an item is text.")
    return _plain_text(part, inherited)


def _plain_text(part: QuestionText, inherited: str) -> str:
    text_format = part.text_format or inherited
    if text_format in _PLAIN_FORMATS:
        return part.text
    return extract_text(part.text, keep_breaks=text_format == "moodle_auto_format")
