"""OpenTriviaQA text, as the project's files are: mixed encodings, CRLF, stray blank lines.

    #Q the stem, which may continue
    over several lines
    ^ the right option's text
    A an option
    B another

A record begins at `#Q` and nowhere else: a stem may hold blank lines and lines that look
like options.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from webapp.bank.formats.line_reader import MAX_LINE_BYTES, InvalidLineError, decode_line, read_lf_lines
from webapp.bank.formats.parse_result import ByteStream, Record, Rejected, UnreadableError, validate_record
from webapp.bank.item_draft import TRUE_AND_FALSE, ItemDraft
from webapp.bank.item_kinds import Kind

SOURCE = "OpenTriviaQA"
LICENCE = "CC BY-SA 4.0"
MAX_RECORD_BYTES = MAX_LINE_BYTES
"""The rest of a longer record is skipped."""

_OPTION = re.compile(r"([A-Z])(?:\s+(.*))?")
_BROKEN_QUOTE, _QUOTE = b"\xe2\x80\x3f", b"\xe2\x80\x9d"


@dataclass
class _RecordBlock:
    """The lines of one record, from its `#Q` on."""

    line: int
    lines: list[str] = field(default_factory=list)
    size: int = 0
    repaired: bool = False
    error: str | None = None

    def add_line(self, number: int, raw: bytes) -> None:
        """Add a line, as long as the record is not too long."""
        self.size += len(raw)
        if self.size > MAX_RECORD_BYTES:
            self.error = f"The record has more than {MAX_RECORD_BYTES} bytes."
            return
        try:
            text, repaired = _decode_repaired(number, raw.rstrip(b"\r\n"))
        except InvalidLineError as error:
            self.error = str(error)
            return
        self.lines.append(text)
        self.repaired |= repaired


def parse(stream: ByteStream, category: str | None) -> Iterator[Record]:
    """Yield a record for every `#Q` in the file, in order.

    Raises:
        UnreadableError: when there is text before the first `#Q`, or no `#Q` at all.
    """
    block: _RecordBlock | None = None
    for number, raw in read_lf_lines(stream):
        if raw.startswith(b"#Q"):
            if block is not None:
                yield _parse_block(block, category)
            block = _RecordBlock(number)
            block.add_line(number, raw[2:])
        elif block is not None:
            block.add_line(number, raw)
        elif raw.strip():
            raise UnreadableError(f"line {number} stands before the first #Q; this is no OpenTriviaQA text")
    if block is None:
        raise UnreadableError("no line begins with #Q; this is no OpenTriviaQA text")
    yield _parse_block(block, category)


def _decode_repaired(number: int, raw: bytes) -> tuple[str, bool]:
    """Return a line's text, and whether its bytes had to be repaired.

    The project's files have closing quotation marks whose last byte some editor has replaced by a question mark.
    """
    repaired = raw.replace(_BROKEN_QUOTE, _QUOTE)
    try:
        return repaired.decode(), repaired != raw
    except UnicodeDecodeError:
        return decode_line(number, raw)


def _parse_block(block: _RecordBlock, category: str | None) -> Record:
    if block.error:
        return Rejected(block.line, block.error)
    marks = [position for position, line in enumerate(block.lines) if line.startswith("^")]
    if not marks:
        return Rejected(block.line, "There is no line that begins with ^ and says the answer.")
    stem = "\n".join(block.lines[: marks[0]])
    answer = block.lines[marks[0]][1:].strip()
    options: list[str] = []
    for line in filter(str.strip, block.lines[marks[0] + 1 :]):
        option = _OPTION.fullmatch(line.strip())
        if option is None:
            return Rejected(block.line, f"After the answer stands a line that is no option: {_shorten(line)}.")
        options.append((option[2] or "").strip())
    return _build_record(block, category, stem, answer, options)


def _build_record(block: _RecordBlock, category: str | None, stem: str, answer: str, options: list[str]) -> Record:
    matches = [position for position, option in enumerate(options) if option == answer]
    if not options:
        return Rejected(block.line, "After the answer stands no option.")
    if "" in options:
        return Rejected(block.line, f"Option {options.index('') + 1} of {len(options)} is empty.")
    if len(matches) != 1:
        which = "no option" if not matches else f"{len(matches)} options"
        return Rejected(block.line, f"The answer {_shorten(answer)} matches {which}.")
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
    return validate_record(block.line, draft, repaired=block.repaired)


def _shorten(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}…")  # noqa: PLR2004 - a readable length
