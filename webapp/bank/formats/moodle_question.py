"""One question of Moodle XML: what is read of it, and the item that it becomes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from webapp.bank.drafts import MOST_CHOICES, TRUE_AND_FALSE, ItemDraft
from webapp.bank.formats import about
from webapp.bank.formats.html_text import shows_more_than_text, text_of
from webapp.bank.formats.moodle import NotTakenError, right_of, unsupported
from webapp.bank.formats.records import Record, Rejected, judged
from webapp.bank.formats.xml_events import Start
from webapp.bank.kinds import Kind

LONGEST_QUESTION = 1024 * 1024
"""Characters of all the texts of a question that are read; files in it do not count."""

_STEM, _EXPLANATION, _CATEGORY = "questiontext/text", "generalfeedback/text", "category/text"
_ANSWER, _SINGLE = "answer/text", "single"
_READ = {_STEM, _EXPLANATION, _CATEGORY, _ANSWER, _SINGLE}
_PICTURES = {"image", "image_base64"}
_AS_IT_STANDS = {"plain_text", "markdown", "wiki_like"}
_MARKDOWN_PICTURE = re.compile(r"!\[[^\]]*\][(\[]")
_NUMBER = re.compile(r"-?[0-9]{1,10}(\.[0-9]{0,20})?")
# What a piece of a text takes beside its characters: somebody may have cut a text into very many.
_PIECE = 16


@dataclass
class Part:
    """A text with its format, and what choosing it is worth, in percent, when it is an answer."""

    form: str | None = None
    fraction: str = "0"
    pieces: list[str] = field(default_factory=list)
    has_begun: bool = False

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces)


@dataclass
class Question:
    """What has been read of one question; of a troubled one nothing more is kept.

    `where` an element is are the names of the elements around it and its own, from the question's
    child on.
    """

    line: int
    type: str
    parts: dict[str, Part] = field(default_factory=dict)
    answers: list[Part] = field(default_factory=list)
    size: int = 0
    trouble: str | None = None
    ours: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Give up on a type that is not taken."""
        if self.type not in {"multichoice", "truefalse", "category"}:
            self.give_up(str(unsupported(f"A question of type {self.type[:40]!r}")))

    def begin(self, where: str, start: Start) -> None:
        """Take in that an element begins."""
        if self.trouble is not None:
            return
        parent, _, name = where.rpartition("/")
        if where == "answer":
            self.answers.append(Part(start.attributes.get("format"), start.attributes.get("fraction", "0")))
            if len(self.answers) > MOST_CHOICES:
                self.give_up(f"An item has at most {MOST_CHOICES} choices.")
        elif where in _PICTURES:
            self.give_up("It shows a picture; an item is text.")
        elif parent in _READ:
            self.give_up(f"Line {start.line}: <{name}> stands in a text; there HTML is escaped or in CDATA.")
        elif f"{where}/text" in _READ:
            self.parts.setdefault(f"{where}/text", Part(start.attributes.get("format")))
        elif where in _READ:
            part = self._part(where)
            if part.has_begun:
                self.give_up(f"Line {start.line}: here a second <{name}> begins.")
            part.has_begun = True

    def take(self, where: str, text: str) -> None:
        """Take in a piece of text, as long as the question is not too long."""
        if where not in _READ or self.trouble is not None:
            return
        self.size += len(text) + _PIECE
        self._part(where).pieces.append(text)
        if self.size > LONGEST_QUESTION:
            self.give_up(f"The question has more than {LONGEST_QUESTION} characters.")

    def comment(self, text: str) -> None:
        """Take in what a comment of ours says of the question."""
        try:
            self.ours |= about.read(text) or {}
        except ValueError as error:
            self.give_up(str(error))

    def give_up(self, reason: str) -> None:
        """Remember what is wrong first, and nothing else."""
        self.trouble = self.trouble or reason
        self.parts, self.answers = {}, []

    @property
    def category_path(self) -> str:
        """The category that a question of type "category" names."""
        return self._part(_CATEGORY).text

    def record(self, category: str | None) -> Record:
        """Return the record, now that the question is complete."""
        if self.trouble is not None:
            return Rejected(self.line, self.trouble)
        try:
            draft = self._draft({"category": category} | self.ours)
        except (NotTakenError, ValueError) as error:
            return Rejected(self.line, str(error))
        return judged(self.line, draft)

    def _part(self, where: str) -> Part:
        if where == _ANSWER and self.answers:
            return self.answers[-1]
        return self.parts.setdefault(where, Part())

    def _draft(self, fields: dict[str, Any]) -> ItemDraft:
        form = self._part(_STEM).form or "html"
        choices = tuple(_shown(answer, form) for answer in self.answers)
        weights = [_weight(answer.fraction) for answer in self.answers]
        if self.type == "truefalse":
            kind, right = Kind.TRUE_FALSE, right_of(weights, is_single=True)
            choices, right = _verdict(choices, right)
        else:
            kind = Kind.SINGLE if self._is_single else Kind.MULTIPLE
            right = right_of(weights, is_single=self._is_single)
        return ItemDraft(
            kind=kind,
            stem=_shown(self._part(_STEM), form),
            choices=choices,
            right=right,
            explanation=_reduced(self._part(_EXPLANATION), form),
            **fields,
        )

    @property
    def _is_single(self) -> bool:
        return _SINGLE not in self.parts or self.parts[_SINGLE].text.strip() not in {"false", "0", ""}


def _verdict(choices: tuple[str, ...], right: tuple[int, ...]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return True and False in their usual order, and which of them is right."""
    said = [choice.strip().capitalize() for choice in choices]
    if sorted(said) != sorted(TRUE_AND_FALSE):
        raise NotTakenError("The answers of a true/false question are true and false.")
    return TRUE_AND_FALSE, tuple(TRUE_AND_FALSE.index(said[place]) for place in right)


def _weight(fraction: str) -> float:
    if _NUMBER.fullmatch(fraction.strip()) is None:
        raise NotTakenError(f"The fraction {fraction[:40]!r} of an answer is no number.")
    return float(fraction)


def _shown(part: Part, inherited: str) -> str:
    """Return a text that has to say everything."""
    form, text = part.form or inherited, part.text
    has_more = _MARKDOWN_PICTURE.search(text) is not None if form == "markdown" else shows_more_than_text(text)
    if has_more and form != "plain_text":
        raise NotTakenError("It shows a picture, sound, film or formula; an item is text.")
    return _reduced(part, inherited)


def _reduced(part: Part, inherited: str) -> str:
    form = part.form or inherited
    return part.text if form in _AS_IT_STANDS else text_of(part.text, keep_breaks=form == "moodle_auto_format")
