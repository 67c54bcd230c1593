r"""GIFT, after Moodle's description of it (docs.moodle.org, "GIFT format") and what its importer does.

    $CATEGORY: Animals/Birds

    // a comment
    ::its name:: [html]Which one <b>flies</b>? {=Crane#Yes. ~Kiwi ~Emu ####Emus run.}

An empty line ends a question. True/false, single and multiple choice are read; all other types
are rejected by name. Choices and stem are read in the format that they have, HTML as its visible
text. Names, feedback on single choices and partial credit are lost: in a single choice what is
worth less than 100 % is wrong, in a multiple choice what is worth more than nothing is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from webapp.bank.formats import metadata_comment
from webapp.bank.formats.html_text import extract_text
from webapp.bank.formats.line_reader import InvalidLineError, decode_line, read_lines
from webapp.bank.formats.moodle_common import (
    UnsupportedQuestionError,
    find_right_choices,
    format_category_path,
    format_fraction,
    parse_category_path,
    unsupported_type,
)
from webapp.bank.formats.parse_result import (
    ByteStream,
    Record,
    Rejected,
    UnreadableError,
    UnsupportedCallback,
    normalize_line_breaks,
    validate_record,
)
from webapp.bank.item_draft import TRUE_AND_FALSE, ItemDraft
from webapp.bank.item_kinds import Kind

MAX_QUESTION_BYTES = 256 * 1024
"""The rest of a longer question is skipped."""
CATEGORY_PREFIX = "$CATEGORY:"
BLANK = "_____"
"""Replaces the answers in the stem when text follows them."""

_FORMAT = re.compile(r"\[(html|moodle|plain|markdown)\]")
_WEIGHT = re.compile(r"%(-*[0-9]{1,3}(?:\.[0-9]*)?)%")
_TRUE_OR_FALSE = {"T": 0, "TRUE": 0, "F": 1, "FALSE": 1}
_SPECIAL = re.compile(r"[\\:#={}~]")
_ESCAPE = re.compile(r"\\([\\:#={}~n])")
# While a question is split, escaped characters are lone surrogates, which no decoded text can contain.
_SURROGATE_BASE = 0xD800
_SURROGATES = re.compile("[\ud800-\ud8ff]")


@dataclass
class _QuestionBlock:
    """The lines of one question, without comments."""

    line: int = 0
    lines: list[str] = field(default_factory=list)
    size: int = 0
    repaired: bool = False
    error: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not self.line

    def add_line(self, number: int, text: str, size: int) -> None:
        """Add a line, as long as the question is not too long."""
        self.line = self.line or number
        self.size += size
        if self.size > MAX_QUESTION_BYTES:
            self.error, self.lines = f"The question has more than {MAX_QUESTION_BYTES} bytes.", []
        elif self.error is None:
            self.lines.append(text)

    def add_comment(self, text: str) -> None:
        """Add the metadata of the question, if the comment is one of ours."""
        try:
            self.metadata |= metadata_comment.parse_comment(text) or {}
        except ValueError as error:
            self.error = str(error)


def parse(stream: ByteStream, category: str | None = None) -> Iterator[Record]:
    """Yield a record for every question, in order; `category` is for those under no `$CATEGORY:`.

    Raises:
        UnreadableError: when the file has no answers in braces at all, or is UTF-16.
    """
    block, present, any_answers = _QuestionBlock(), category, False
    for number, raw in read_lines(stream):
        try:
            text, repaired = decode_line(number, raw)
        except InvalidLineError as error:
            text, repaired = "?", True
            block.error = str(error)
        text = text.strip()
        is_category = text.startswith(CATEGORY_PREFIX)
        if not text or is_category:
            if not block.is_empty:
                yield _parse_block(block, present)
            block = _QuestionBlock()
            present = (parse_category(text) or category) if is_category else present
        elif text.startswith("//"):
            block.add_comment(text[2:])
        else:
            block.add_line(number, text, len(raw))
            block.repaired |= repaired
            any_answers |= "{" in text
    if not block.is_empty:
        yield _parse_block(block, present)
    if not any_answers:
        raise UnreadableError("there are no answers in braces; this is no GIFT")


def dump(drafts: Iterable[ItemDraft], on_unsupported: UnsupportedCallback | None = None) -> Iterator[str]:
    """Yield a question for every item; GIFT can hold them all.

    What GIFT has no place for is written as a comment that `parse` understands. Every line break
    is read again as LF. Items of one category should come together.
    """
    present: str | None = None
    for draft in map(normalize_line_breaks, drafts):
        if draft.category != present:
            present = draft.category
            yield f"{_format_category(present)}\n\n"
        yield _format_question(draft)


def parse_category(line: str) -> str | None:
    """Return what a `$CATEGORY:` line says, without the context (`$course$/top`); None for the top."""
    return parse_category_path(line.removeprefix(CATEGORY_PREFIX))


def _format_category(category: str | None) -> str:
    return f"{CATEGORY_PREFIX} {format_category_path(category)}".replace("\n", " ")


def _format_question(draft: ItemDraft) -> str:
    is_exact = parse_category(_format_category(draft.category)) == draft.category
    comment = metadata_comment.format_comment(draft, with_category=not is_exact)
    explanation = f"####{_escape(draft.explanation)}" if draft.explanation else ""
    head = f"{f'// {comment}' if comment else ''}\n[plain]{_escape(draft.stem, at_start=False)} ".lstrip("\n")
    if draft.kind == Kind.TRUE_FALSE:
        return f"{head}{{{draft.choices[draft.right[0]].upper()}{explanation}}}\n\n"
    lines = [f"\t{_choice_prefix(draft, position)}{_escape(choice)}" for position, choice in enumerate(draft.choices)]
    lines += [f"\t{explanation}"] if explanation else []
    return "\n".join([f"{head}{{", *lines, "}\n\n"])


def _choice_prefix(draft: ItemDraft, position: int) -> str:
    if draft.kind == Kind.SINGLE:
        return "=" if position in draft.right else "~"
    return f"~%{format_fraction(position, draft.right)}%"


def _escape(text: str, *, at_start: bool = True) -> str:
    """Escape a text; `at_start` of a part it must not look like a format or a weight."""
    escaped = _SPECIAL.sub(r"\\\g<0>", text).replace("\n", r"\n")
    return f"[plain]{escaped}" if at_start and text.startswith(("[", "%")) else escaped


def _parse_block(block: _QuestionBlock, category: str | None) -> Record:
    if block.error:
        return Rejected(block.line, block.error)
    try:
        draft = _parse_question(_ESCAPE.sub(_hide_escape, "\n".join(block.lines)))
    except (UnsupportedQuestionError, ValueError) as error:
        return Rejected(block.line, str(error))
    fields: dict[str, Any] = {"category": category} | block.metadata
    return validate_record(block.line, replace(draft, **fields), repaired=block.repaired)


def _parse_question(text: str) -> ItemDraft:
    """Read a question whose escapes are hidden."""
    if text.startswith("::"):
        _, closed, text = text[2:].partition("::")
        if not closed:
            raise UnsupportedQuestionError("The name has no :: at its end.")
    stem, answers = _split_answers(text)
    text_format, stem = _split_format(stem, "moodle")
    before, separator, after = answers.rpartition("####")
    answers, feedback = (before.strip(), after) if separator else (answers, "")
    kind, choices, right = _parse_answers(answers, text_format)
    return ItemDraft(
        kind=kind,
        stem=_to_plain_text(stem, text_format),
        choices=choices,
        right=right,
        explanation=_parse_text(feedback, text_format),
    )


def _split_answers(text: str) -> tuple[str, str]:
    """Return the stem, and the text in the braces."""
    before, opened, rest = text.partition("{")
    answers, closed, after = rest.partition("}")
    if not opened and "}" not in text:
        raise UnsupportedQuestionError("A description, which asks nothing, is not supported.")
    if not opened or "}" in before:
        raise UnsupportedQuestionError("A } closes answers that no { opens.")
    if not closed:
        raise UnsupportedQuestionError("The answers are not closed by } before the empty line.")
    if "{" in after or "}" in after:
        raise UnsupportedQuestionError(r"There are braces after the answers; write \{ and \} where they are text.")
    # As in Moodle: answers at the end leave nothing in the stem, all others a blank to be filled in.
    return (f"{before}{BLANK}{after}" if after.strip() else before), answers.strip()


def _parse_answers(answers: str, text_format: str) -> tuple[Kind, tuple[str, ...], tuple[int, ...]]:
    """Return kind, choices and right positions; the types are tested in Moodle's order."""
    if not answers:
        raise unsupported_type("An essay")
    if answers.startswith("#"):
        raise unsupported_type("A numerical question")
    if "~" in answers:
        return _parse_choices(answers, text_format)
    if "=" in answers and "->" in answers:
        raise unsupported_type("A matching question")
    verdict = _TRUE_OR_FALSE.get(answers.partition("#")[0].strip())
    if verdict is None:
        raise unsupported_type("A short answer")
    return Kind.TRUE_FALSE, TRUE_AND_FALSE, (verdict,)


def _parse_choices(answers: str, text_format: str) -> tuple[Kind, tuple[str, ...], tuple[int, ...]]:
    is_single = "=" in answers
    before, *parts = answers.replace("=", "~=").split("~")
    if before.strip():
        raise UnsupportedQuestionError("Before the first choice stands text.")
    choices, weights = [], []
    for part in map(str.strip, parts):
        weight, text = _parse_weight(part)
        weights.append(weight)
        choices.append(_parse_text(text.partition("#")[0], text_format))
    kind = Kind.SINGLE if is_single else Kind.MULTIPLE
    return kind, tuple(choices), find_right_choices(weights, is_single=is_single)


def _parse_weight(part: str) -> tuple[float, str]:
    if part.startswith("="):
        return 100, part[1:]
    weight = _WEIGHT.match(part)
    if weight is None:
        return 0, part
    digits = weight[1].lstrip("-")
    return (-float(digits) if weight[1].startswith("-") else float(digits)), part[weight.end() :]


def _split_format(text: str, inherited: str) -> tuple[str, str]:
    text = text.strip()
    prefix = _FORMAT.match(text)
    return (prefix[1], text[prefix.end() :]) if prefix else (inherited, text)


def _parse_text(text: str, inherited: str) -> str:
    text_format, text = _split_format(text, inherited)
    return _to_plain_text(text, text_format)


def _to_plain_text(text: str, text_format: str) -> str:
    text = _SURROGATES.sub(_restore_escape, text)
    return extract_text(text) if text_format == "html" else text


def _hide_escape(escape: re.Match[str]) -> str:
    return chr(_SURROGATE_BASE + ord(escape[1]))


def _restore_escape(surrogate: re.Match[str]) -> str:
    character = chr(ord(surrogate[0]) - _SURROGATE_BASE)
    return "\n" if character == "n" else character
