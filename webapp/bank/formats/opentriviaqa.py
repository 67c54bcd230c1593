"""OpenTriviaQA text, as the project's files are: mixed encodings, CRLF, stray blank lines.

    #Q the stem, which may go on
    over several lines
    ^ the right option's text
    A an option
    B another

A record begins at `#Q` and nowhere else: a stem may hold blank lines and lines that look
like options.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from webapp.bank.formats.records import Record, Rejected, UnreadableError, judged
from webapp.bank.items import TRUE_AND_FALSE, ItemDraft
from webapp.bank.kinds import Kind

SOURCE = "OpenTriviaQA"
LICENCE = "CC BY-SA 4.0"
LONGEST_LINE = 64 * 1024
"""Bytes; a longer line is no text of this kind."""
MOST_LINES = 1000
"""Lines of one record that are kept."""

_OPTION = re.compile(r"([A-Z])(?:\s+(.*))?")
_BROKEN_QUOTE, _QUOTE = b"\xe2\x80\x3f", b"\xe2\x80\x9d"


@dataclass
class _Block:
    """The lines of one record, from its `#Q` on."""

    line: int
    lines: list[str] = field(default_factory=list)
    repaired: bool = False


def parse(lines: Iterable[bytes], category: str | None) -> Iterator[Record]:
    """Yield a record for every `#Q` in the file, in order.

    Raises:
        UnreadableError: when there is text before the first `#Q`, or none at all.
    """
    block: _Block | None = None
    for number, raw in enumerate(lines, start=1):
        if len(raw) > LONGEST_LINE:
            raise UnreadableError(f"line {number} has more than {LONGEST_LINE} bytes; this is no OpenTriviaQA text")
        text, repaired = _decoded(raw)
        if text.startswith("#Q"):
            if block is not None:
                yield _record(block, category)
            block = _Block(number)
            text = text[2:]
        if block is None:
            if text.strip("\ufeff \t"):
                raise UnreadableError(f"line {number} stands before the first #Q; this is no OpenTriviaQA text")
        elif len(block.lines) < MOST_LINES:
            block.lines.append(text)
            block.repaired |= repaired
    if block is not None:
        yield _record(block, category)


def _decoded(raw: bytes) -> tuple[str, bool]:
    """Return a line's text, and whether its bytes had to be mended."""
    raw = raw.rstrip(b"\r\n")
    try:
        return raw.decode(), False
    except UnicodeDecodeError:
        pass
    try:
        # A closing quotation mark whose last byte some editor has turned into a question mark.
        return raw.replace(_BROKEN_QUOTE, _QUOTE).decode(), True
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace"), True


def _record(block: _Block, category: str | None) -> Record:
    marks = [position for position, line in enumerate(block.lines) if line.startswith("^")]
    if not marks:
        return Rejected(block.line, "There is no line that begins with ^ and says the answer.")
    stem = "\n".join(block.lines[: marks[0]]).strip()
    answer = block.lines[marks[0]][1:].strip()
    options: list[str] = []
    for line in block.lines[marks[0] + 1 :]:
        if not line.strip():
            continue
        found = _OPTION.fullmatch(line.strip())
        if found is None:
            return Rejected(block.line, f"After the answer stands a line that is no option: {_short(line)}.")
        options.append((found[2] or "").strip())
    return _from_parts(block, category, stem, answer, options)


def _from_parts(block: _Block, category: str | None, stem: str, answer: str, options: list[str]) -> Record:
    matches = [position for position, option in enumerate(options) if option == answer]
    if "" in options:
        return Rejected(block.line, f"Option {options.index('') + 1} of {len(options)} is empty.")
    if len(matches) != 1:
        which = "no option" if not matches else f"{len(matches)} options"
        return Rejected(block.line, f"The answer {_short(answer)} matches {which}.")
    kind, choices, right = Kind.SINGLE, tuple(options), options[matches[0]]
    if sorted(options) == sorted(TRUE_AND_FALSE):
        kind, choices = Kind.TRUE_FALSE, TRUE_AND_FALSE
    draft = ItemDraft(
        kind=kind,
        stem=stem,
        choices=choices,
        right=(choices.index(right),),
        category=category,
        source=SOURCE,
        licence=LICENCE,
    )
    return judged(block.line, draft, repaired=block.repaired)


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}…")  # noqa: PLR2004 - for the eye
