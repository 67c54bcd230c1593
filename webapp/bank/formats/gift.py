r"""GIFT, after Moodle's description of it (docs.moodle.org, "GIFT format") and what its importer does.

    $CATEGORY: Animals/Birds

    // a comment
    ::its name:: [html]Which one <b>flies</b>? {=Crane#Yes. ~Kiwi ~Emu ####Emus run.}

An empty line ends a question. Taken are true/false, single and multiple choice; all other types
are rejected by name. Choices and stem come in with the format that they have, HTML as the text
that is seen. Lost are names, feedback on single choices, and partial credit: in a single choice
what is worth less than 100 % is wrong, in a multiple one what is worth more than nothing is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from webapp.bank.drafts import TRUE_AND_FALSE, ItemDraft
from webapp.bank.formats import about
from webapp.bank.formats.html_text import text_of
from webapp.bank.formats.lines import decoded, lines_of
from webapp.bank.formats.moodle import (
    NotTakenError,
    category_named,
    category_path,
    right_of,
    share_of,
    unsupported,
)
from webapp.bank.formats.records import (
    ByteStream,
    Record,
    Refuse,
    Rejected,
    UnreadableError,
    judged,
    with_plain_breaks,
)
from webapp.bank.kinds import Kind

LONGEST_QUESTION = 256 * 1024
"""Bytes; the rest of a longer one is skipped."""
CATEGORY = "$CATEGORY:"
BLANK = "_____"
"""Stands in the stem where the answers stood, when text follows them."""

_FORMAT = re.compile(r"\[(html|moodle|plain|markdown)\]")
_WEIGHT = re.compile(r"%(-*[0-9]{1,3}(?:\.[0-9]*)?)%")
_TRUE_OR_FALSE = {"T": 0, "TRUE": 0, "F": 1, "FALSE": 1}
_SPECIAL = re.compile(r"[\\:#={}~]")
_ESCAPE = re.compile(r"\\([\\:#={}~n])")
# Escaped characters stand as half characters, which no decoded text can have, until all is split.
_HALF = 0xD800
_HALVES = re.compile("[\ud800-\ud8ff]")


@dataclass
class _Block:
    """The lines of one question, without comments."""

    line: int = 0
    lines: list[str] = field(default_factory=list)
    size: int = 0
    repaired: bool = False
    trouble: str | None = None
    ours: dict[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not self.line

    def take(self, number: int, text: str, size: int) -> None:
        """Add a line, as long as the question is not too long."""
        self.line = self.line or number
        self.size += size
        if self.size > LONGEST_QUESTION:
            self.trouble, self.lines = f"The question has more than {LONGEST_QUESTION} bytes.", []
        elif self.trouble is None:
            self.lines.append(text)

    def comment(self, text: str) -> None:
        """Take in what a comment of ours says of the question."""
        try:
            self.ours |= about.read(text) or {}
        except ValueError as error:
            self.trouble = str(error)


def parse(stream: ByteStream, category: str | None = None) -> Iterator[Record]:
    """Yield a record for every question, in order; `category` is for those under no `$CATEGORY:`.

    Raises:
        UnreadableError: when the file has no answers in braces at all, or is UTF-16.
    """
    block, present, any_answers = _Block(), category, False
    for number, raw in lines_of(stream):
        try:
            text, repaired = decoded(raw)
        except UnicodeDecodeError:
            text, repaired = "?", True
            block.trouble = f"Line {number} has bytes that are neither UTF-8 nor Windows-1252."
        text = text.strip()
        is_category = text.startswith(CATEGORY)
        if not text or is_category:
            if not block.is_empty:
                yield _record(block, present)
            block = _Block()
            present = (category_in(text) or category) if is_category else present
        elif text.startswith("//"):
            block.comment(text[2:])
        else:
            block.take(number, text, len(raw))
            block.repaired |= repaired
            any_answers |= "{" in text
    if not block.is_empty:
        yield _record(block, present)
    if not any_answers:
        raise UnreadableError("there are no answers in braces; this is no GIFT")


def dump(drafts: Iterable[ItemDraft], refuse: Refuse | None = None) -> Iterator[str]:
    """Yield a question for every item; nothing is refused.

    What GIFT has no place for stands in a comment that `parse` understands. Every line break
    is read again as LF. Items of one category should come together.
    """
    present: str | None = None
    for draft in map(with_plain_breaks, drafts):
        if draft.category != present:
            present = draft.category
            yield f"{_category_line(present)}\n\n"
        yield _question(draft)


def category_in(line: str) -> str | None:
    """Return what a `$CATEGORY:` line says, without the context (`$course$/top`); None for the top."""
    return category_named(line.removeprefix(CATEGORY))


def _category_line(category: str | None) -> str:
    return f"{CATEGORY} {category_path(category)}".replace("\n", " ")


def _question(draft: ItemDraft) -> str:
    is_exact = category_in(_category_line(draft.category)) == draft.category
    ours = about.written(draft, with_category=not is_exact)
    explanation = f"####{_escaped(draft.explanation)}" if draft.explanation else ""
    head = f"{f'// {ours}' if ours else ''}\n[plain]{_escaped(draft.stem, leads=False)} ".lstrip("\n")
    if draft.kind == Kind.TRUE_FALSE:
        return f"{head}{{{draft.choices[draft.right[0]].upper()}{explanation}}}\n\n"
    lines = [f"\t{_mark(draft, place)}{_escaped(choice)}" for place, choice in enumerate(draft.choices)]
    lines += [f"\t{explanation}"] if explanation else []
    return "\n".join([f"{head}{{", *lines, "}\n\n"])


def _mark(draft: ItemDraft, place: int) -> str:
    if draft.kind == Kind.SINGLE:
        return "=" if place in draft.right else "~"
    return f"~%{share_of(place, draft.right)}%"


def _escaped(text: str, *, leads: bool = True) -> str:
    """Escape a text; one that `leads` may not look like a format or a weight."""
    escaped = _SPECIAL.sub(r"\\\g<0>", text).replace("\n", r"\n")
    return f"[plain]{escaped}" if leads and text.startswith(("[", "%")) else escaped


def _record(block: _Block, category: str | None) -> Record:
    if block.trouble:
        return Rejected(block.line, block.trouble)
    try:
        draft = _draft(_ESCAPE.sub(_hide, "\n".join(block.lines)))
    except (NotTakenError, ValueError) as error:
        return Rejected(block.line, str(error))
    fields: dict[str, Any] = {"category": category} | block.ours
    return judged(block.line, replace(draft, **fields), repaired=block.repaired)


def _draft(text: str) -> ItemDraft:
    """Read a question whose escapes are hidden."""
    if text.startswith("::"):
        _, closed, text = text[2:].partition("::")
        if not closed:
            raise NotTakenError("The name has no :: at its end.")
    stem, answers = _parted(text)
    form, stem = _format(stem, "moodle")
    before, is_there, after = answers.rpartition("####")
    answers, feedback = (before.strip(), after) if is_there else (answers, "")
    kind, choices, right = _answers(answers, form)
    return ItemDraft(
        kind=kind,
        stem=_shown(stem, form),
        choices=choices,
        right=right,
        explanation=_formatted(feedback, form),
    )


def _parted(text: str) -> tuple[str, str]:
    """Return the stem, and what stands in the braces."""
    before, opened, rest = text.partition("{")
    answers, closed, after = rest.partition("}")
    if not opened and "}" not in text:
        raise NotTakenError("A description, which asks nothing, is not supported.")
    if not opened or "}" in before:
        raise NotTakenError("A } closes answers that no { opens.")
    if not closed:
        raise NotTakenError("The answers are not closed by } before the empty line.")
    if "{" in after or "}" in after:
        raise NotTakenError(r"There are braces after the answers; write \{ and \} where they are text.")
    # As in Moodle: answers at the end leave nothing behind, all others a blank to be filled in.
    return (f"{before}{BLANK}{after}" if after.strip() else before), answers.strip()


def _answers(answers: str, form: str) -> tuple[Kind, tuple[str, ...], tuple[int, ...]]:
    """Return kind, choices and right positions. Moodle tells the types apart in this order."""
    if not answers:
        raise unsupported("An essay")
    if answers.startswith("#"):
        raise unsupported("A numerical question")
    if "~" in answers:
        return _choices(answers, form)
    if "=" in answers and "->" in answers:
        raise unsupported("A matching question")
    verdict = _TRUE_OR_FALSE.get(answers.partition("#")[0].strip())
    if verdict is None:
        raise unsupported("A short answer")
    return Kind.TRUE_FALSE, TRUE_AND_FALSE, (verdict,)


def _choices(answers: str, form: str) -> tuple[Kind, tuple[str, ...], tuple[int, ...]]:
    is_single = "=" in answers
    before, *parts = answers.replace("=", "~=").split("~")
    if before.strip():
        raise NotTakenError("Before the first choice stands text.")
    choices, weights = [], []
    for part in map(str.strip, parts):
        weight, text = _weighed(part)
        weights.append(weight)
        choices.append(_formatted(text.partition("#")[0], form))
    kind = Kind.SINGLE if is_single else Kind.MULTIPLE
    return kind, tuple(choices), right_of(weights, is_single=is_single)


def _weighed(part: str) -> tuple[float, str]:
    if part.startswith("="):
        return 100, part[1:]
    found = _WEIGHT.match(part)
    if found is None:
        return 0, part
    digits = found[1].lstrip("-")
    return (-float(digits) if found[1].startswith("-") else float(digits)), part[found.end() :]


def _format(text: str, inherited: str) -> tuple[str, str]:
    text = text.strip()
    found = _FORMAT.match(text)
    return (found[1], text[found.end() :]) if found else (inherited, text)


def _formatted(text: str, inherited: str) -> str:
    form, text = _format(text, inherited)
    return _shown(text, form)


def _shown(text: str, form: str) -> str:
    text = _HALVES.sub(_show, text)
    return text_of(text) if form == "html" else text


def _hide(escape: re.Match[str]) -> str:
    return chr(_HALF + ord(escape[1]))


def _show(half: re.Match[str]) -> str:
    character = chr(ord(half[0]) - _HALF)
    return "\n" if character == "n" else character
