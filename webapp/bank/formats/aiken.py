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

from webapp.bank.formats.line_reader import MAX_LINE_BYTES, InvalidLineError, decode_line, read_lines
from webapp.bank.formats.parse_result import (
    ByteStream,
    Record,
    Rejected,
    UnreadableError,
    UnsupportedCallback,
    validate_record,
)
from webapp.bank.item_draft import MIN_CHOICES, OPTIONAL_FIELDS, TRUE_AND_FALSE, ItemDraft
from webapp.bank.item_kinds import Kind

UNSUPPORTED_FIELDS = OPTIONAL_FIELDS
"""Fields that an export leaves out."""

_OPTION = re.compile(r"([A-Z])[.)]\s*(.*)")
_ANSWER = re.compile(r"ANSWER:\s*(.*)")


@dataclass
class _Question:
    """What has been read of one question; after an error nothing more is added."""

    line: int
    stem: str | None = None
    options: list[str] = field(default_factory=list)
    repaired: bool = False
    error: str | None = None

    def add_option(self, number: int, letter: str, text: str) -> None:
        """Add an option, if its letter is the next one."""
        expected = ascii_uppercase[len(self.options)] if len(self.options) < len(ascii_uppercase) else "ANSWER"
        if self.stem is None:
            self.set_error(f"Line {number}: an option stands before a question.")
        elif letter != expected:
            self.set_error(f"Line {number}: {letter} stands where {expected} should.")
        if self.error is None:
            self.options.append(text)

    def add_line(self, number: int, text: str) -> None:
        """Add a line that is neither an option nor the answer: the first one is the stem."""
        if self.line == number:
            self.stem = text
        else:
            self.set_error(f"Line {number}: the question goes on over a second line.")

    def set_error(self, error: str | None) -> None:
        """Record what is wrong, unless something was wrong before."""
        self.error = self.error or error

    def to_record(self, number: int, letter: str, category: str | None) -> Record:
        """Return the record, now that its answer is known."""
        positions = [position for position, known in enumerate(ascii_uppercase[: len(self.options)]) if known == letter]
        if self.stem is None:
            self.set_error(f"Line {number}: ANSWER stands before a question.")
        elif len(self.options) < MIN_CHOICES:
            self.set_error(f"Line {number}: ANSWER stands after fewer than two options.")
        elif not positions:
            self.set_error(f"Line {number}: the answer {letter[:20]!r} is none of the options.")
        if self.error is not None or self.stem is None:
            return Rejected(self.line, self.error or "")
        kind, choices, right = Kind.SINGLE, tuple(self.options), positions[0]
        if sorted(choices) == sorted(TRUE_AND_FALSE):
            kind, choices, right = Kind.TRUE_FALSE, TRUE_AND_FALSE, TRUE_AND_FALSE.index(choices[right])
        draft = ItemDraft(kind, self.stem, choices, (right,), category=category)
        return validate_record(self.line, draft, repaired=self.repaired)


def parse(stream: ByteStream, category: str | None = None) -> Iterator[Record]:
    """Yield a record for every question, in order; a choice between True and False becomes true or false.

    Raises:
        UnreadableError: when no line begins with ANSWER, or the file is UTF-16.
    """
    parser = _Parser(category)
    for number, raw in read_lines(stream):
        yield from parser.parse_line(number, raw)
    yield from parser.close()


class _Parser:
    """The question that is being read, and whether the file has any answer."""

    def __init__(self, category: str | None) -> None:
        self._category = category
        self._question: _Question | None = None
        self._is_after_blank = False
        self._has_answer = False

    def parse_line(self, number: int, raw: bytes) -> Iterator[Record]:
        """Yield the records that this line completes."""
        text, repaired, error = _decode_checked(number, raw)
        if len(text) <= 1:
            self._is_after_blank |= not text
            return
        answer, option = _ANSWER.match(text), _OPTION.match(text)
        if answer is None and option is None:
            yield from self._reject_unanswered(number)
        question = self._question = self._question or _Question(number)
        question.set_error(error)
        question.repaired |= repaired
        if answer:
            self._has_answer = True
            self._question = None
            yield question.to_record(number, answer[1], self._category)
        elif option:
            question.add_option(number, option[1], option[2])
        else:
            question.add_line(number, text)
        self._is_after_blank = False

    def close(self) -> Iterator[Record]:
        """Yield the record of a question that the end of the file cuts short.

        Raises:
            UnreadableError: when the file has no answer.
        """
        if not self._has_answer:
            raise UnreadableError("no line begins with ANSWER: and says the answer; this is no Aiken text")
        if self._question is not None:
            yield Rejected(self._question.line, self._question.error or "The file ends before ANSWER.")

    def _reject_unanswered(self, number: int) -> Iterator[Record]:
        """A line of a stem begins a new question after options or a blank line; the one before has no answer."""
        question = self._question
        if question is not None and (question.options or self._is_after_blank):
            yield Rejected(question.line, question.error or f"Line {number}: a new question stands before ANSWER.")
            self._question = None


def dump(drafts: Iterable[ItemDraft], on_unsupported: UnsupportedCallback | None = None) -> Iterator[str]:
    """Yield a question for every item that Aiken can hold, without its `UNSUPPORTED_FIELDS`."""
    for draft in drafts:
        reason = _find_unsupported(draft)
        if reason is None:
            options = zip(ascii_uppercase, draft.choices, strict=False)
            lines = [draft.stem, *(f"{letter}. {choice}" for letter, choice in options)]
            yield "\n".join([*lines, f"ANSWER: {ascii_uppercase[draft.right[0]]}\n\n"])
        elif on_unsupported is not None:
            on_unsupported(draft, reason)


def _decode_checked(number: int, raw: bytes) -> tuple[str, bool, str | None]:
    """Return a line's text, whether it had to be repaired, and what is wrong with it."""
    if len(raw) > MAX_LINE_BYTES:
        return "too long", False, f"Line {number} has more than {MAX_LINE_BYTES} bytes."
    try:
        text, repaired = decode_line(number, raw)
    except InvalidLineError as error:
        return "unreadable", False, str(error)
    return text.strip(), repaired, None


def _find_unsupported(draft: ItemDraft) -> str | None:
    """Return why Aiken cannot hold an item."""
    reasons = {
        "Aiken has no questions with several right choices.": draft.kind == Kind.MULTIPLE,
        "Aiken has no line breaks.": any(mark in text for text in (draft.stem, *draft.choices) for mark in "\r\n"),
        "Aiken skips a stem of one character.": len(draft.stem) == 1,
        "Aiken would take the stem for an option.": _OPTION.match(draft.stem) is not None,
        "Aiken would take the stem for the answer.": _ANSWER.match(draft.stem) is not None,
        f"Aiken has letters for {len(ascii_uppercase)} choices.": len(draft.choices) > len(ascii_uppercase),
        "Aiken cannot tell this single choice from true or false.": draft.kind == Kind.SINGLE
        and sorted(draft.choices) == sorted(TRUE_AND_FALSE),
    }
    return next((reason for reason, applies in reasons.items() if applies), None)
