"""Aiken, after Moodle's description of it (docs.moodle.org, "Aiken format").

    Which one flies?
    A. Kiwi
    B) Crane
    ANSWER: B

The stem has one line, as has each option; their letters are capitals, in order. Empty lines and
lines of one character are skipped. There is room for stem, choices and answer only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from string import ascii_uppercase

from webapp.bank.formats.line_reader import MAX_LINE_BYTES, decode_line, read_lines
from webapp.bank.formats.parse_result import (
    ByteStream,
    Record,
    Rejected,
    UnreadableError,
    UnsupportedCallback,
    validate_record,
)
from webapp.bank.item_draft import TRUE_AND_FALSE, ItemDraft
from webapp.bank.item_kinds import Kind

UNSUPPORTED_FIELDS = (
    "explanation",
    "category",
    "difficulty",
    "source",
    "licence",
    "address",
    "collected_at",
    "original",
)
"""Fields that an export leaves out."""

_OPTION = re.compile(r"([A-Z])[.)]\s*(.*)")
_ANSWER = re.compile(r"ANSWER:\s*(.*)")


@dataclass
class _Question:
    """What has been read of one question; of a troubled one nothing more is kept."""

    line: int
    stem: str | None = None
    options: list[str] = field(default_factory=list)
    repaired: bool = False
    error: str | None = None

    def add_option(self, number: int, letter: str, text: str) -> None:
        """Take in an option, if its letter is the next one."""
        wanted = ascii_uppercase[len(self.options)] if len(self.options) < len(ascii_uppercase) else "ANSWER"
        if self.stem is None:
            self.error = self.error or f"Line {number}: an option stands before a question."
        elif letter != wanted:
            self.error = self.error or f"Line {number}: {letter} stands where {wanted} should."
        if self.error is None:
            self.options.append(text)

    def to_record(self, number: int, letter: str, category: str | None) -> Record:
        """Return the record, now that its answer is known."""
        places = [place for place, known in enumerate(ascii_uppercase[: len(self.options)]) if known == letter]
        if self.stem is None:
            self.error = self.error or f"Line {number}: ANSWER stands before a question."
        elif len(self.options) < 2:  # noqa: PLR2004 - a choice is between two
            self.error = self.error or f"Line {number}: ANSWER stands after fewer than two options."
        elif not places:
            self.error = self.error or f"Line {number}: the answer {letter[:20]!r} is none of the options."
        if self.error is not None or self.stem is None:
            return Rejected(self.line, self.error or "")
        kind, choices, right = Kind.SINGLE, tuple(self.options), places[0]
        if sorted(choices) == sorted(TRUE_AND_FALSE):
            kind, choices, right = Kind.TRUE_FALSE, TRUE_AND_FALSE, TRUE_AND_FALSE.index(choices[right])
        draft = ItemDraft(kind, self.stem, choices, (right,), category=category)
        return validate_record(self.line, draft, repaired=self.repaired)


def parse(stream: ByteStream, category: str | None = None) -> Iterator[Record]:
    """Yield a record for every question, in order; a choice between True and False becomes true or false.

    Raises:
        UnreadableError: when no line begins with ANSWER, or the file is UTF-16.
    """
    question: _Question | None = None
    after_blank, any_answer = False, False
    for number, raw in read_lines(stream):
        text, repaired, trouble = _decode_checked(number, raw)
        if len(text) <= 1:
            after_blank |= not text
            continue
        answer, option = _ANSWER.match(text), _OPTION.match(text)
        is_stem = not answer and not option
        if question is not None and is_stem and (question.options or after_blank):
            yield Rejected(question.line, question.error or f"Line {number}: a new question stands before ANSWER.")
            question = None
        question = question or _Question(number)
        question.error = question.error or trouble
        question.repaired |= repaired
        if answer:
            any_answer = True
            yield question.to_record(number, answer[1], category)
            question = None
        elif option:
            question.add_option(number, option[1], option[2])
        elif question.line == number:
            question.stem = text
        else:
            question.error = question.error or f"Line {number}: the question goes on over a second line."
        after_blank = False
    if not any_answer:
        raise UnreadableError("no line begins with ANSWER: and says the answer; this is no Aiken text")
    if question is not None:
        yield Rejected(question.line, question.error or "The file ends before ANSWER.")


def dump(drafts: Iterable[ItemDraft], on_unsupported: UnsupportedCallback | None = None) -> Iterator[str]:
    """Yield a question for every item that Aiken can hold, without what it has no place for (`LOST`)."""
    for draft in drafts:
        reason = _find_unsupported(draft)
        if reason is None:
            options = zip(ascii_uppercase, draft.choices, strict=False)
            lines = [draft.stem, *(f"{letter}. {choice}" for letter, choice in options)]
            yield "\n".join([*lines, f"ANSWER: {ascii_uppercase[draft.right[0]]}\n\n"])
        elif on_unsupported is not None:
            on_unsupported(draft, reason)


def _decode_checked(number: int, raw: bytes) -> tuple[str, bool, str | None]:
    """Return a line's text, whether it had to be mended, and what is wrong with it."""
    if len(raw) > MAX_LINE_BYTES:
        return "too long", False, f"Line {number} has more than {MAX_LINE_BYTES} bytes."
    try:
        text, repaired = decode_line(raw)
    except UnicodeDecodeError:
        return "unreadable", False, f"Line {number} has bytes that are neither UTF-8 nor Windows-1252."
    return text.strip(), repaired, None


def _find_unsupported(draft: ItemDraft) -> str | None:
    """Return why Aiken cannot hold an item."""
    faults = {
        "Aiken has no questions with several right choices.": draft.kind == Kind.MULTIPLE,
        "Aiken has no line breaks.": any(mark in text for text in (draft.stem, *draft.choices) for mark in "\r\n"),
        "Aiken skips a stem of one character.": len(draft.stem) == 1,
        "Aiken would take the stem for an option.": _OPTION.match(draft.stem) is not None,
        "Aiken would take the stem for the answer.": _ANSWER.match(draft.stem) is not None,
        f"Aiken has letters for {len(ascii_uppercase)} choices.": len(draft.choices) > len(ascii_uppercase),
        "Aiken cannot tell this single choice from true or false.": draft.kind == Kind.SINGLE
        and sorted(draft.choices) == sorted(TRUE_AND_FALSE),
    }
    return next((reason for reason, is_so in faults.items() if is_so), None)
