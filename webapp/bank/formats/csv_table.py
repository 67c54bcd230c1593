"""CSV as spreadsheets read and write it: one item a row, keyed by its id.

    id,kind,stem,choice_1,choice_2,choice_3,right,explanation,…
    7,single,Which one flies?,Crane,Kiwi,Emu,1,Emus run.,…
    ,multiple,Which two are birds?,Crane,Kiwi,Bat,1; 2,,…

`right` are the numbers of the right choices, from 1, with blanks, commas or semicolons between
them. A row whose id the bank knows changes that item, any other adds one. True or false needs
no choices: 1 is true, 2 is false. A cell that a spreadsheet would take for a formula has an
apostrophe before it, which is taken off again.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from tempfile import SpooledTemporaryFile
from typing import Any

from webapp.bank.formats import metadata_comment
from webapp.bank.formats.line_reader import MAX_LINE_BYTES, decode_line, read_lines
from webapp.bank.formats.parse_result import (
    ByteStream,
    Record,
    Rejected,
    UnreadableError,
    UnsupportedCallback,
    validate_record,
)
from webapp.bank.item_draft import MAX_CHOICES, MIN_CHOICES, TRUE_AND_FALSE, ItemDraft
from webapp.bank.item_kinds import Kind

MAX_ROW_BYTES = MAX_LINE_BYTES
"""Bytes, of all the lines of a row."""
MAX_COLUMNS = 100

_CHOICE_COLUMNS = [f"choice_{number}" for number in range(1, MAX_CHOICES + 1)]
_LEADING_COLUMNS = ("id", "kind", "stem")
_TEXT_COLUMNS = ("explanation", "category", "difficulty", "source", "licence", "address")
_TRAILING_COLUMNS = ("right", *_TEXT_COLUMNS, "collected_at", "original")
_ALL_COLUMNS = {*_LEADING_COLUMNS, *_CHOICE_COLUMNS, *_TRAILING_COLUMNS}
_REQUIRED_COLUMNS = ("stem", "choice_1", "choice_2", "right")
_DELIMITERS = (",", ";", "\t")

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_ID = re.compile(r"[0-9]{1,18}")
_NUMBERS = re.compile(r"[0-9]{1,4}(?:[\s,;]+[0-9]{1,4})*")
_SPOOL_BYTES = 4 * 1024 * 1024


class _RowError(ValueError):
    """The row cannot be read; the text says why."""


class _LineSource:
    """The lines that the CSV reader takes, as text; knows where a row begins and how long it is."""

    def __init__(self, stream: ByteStream) -> None:
        self._lines = read_lines(stream)
        self.line_number = 0
        self.row_start = 1
        self.row_bytes = 0
        self.repaired = False

    def begin_row(self) -> None:
        """A row begins with the next line."""
        self.row_start, self.row_bytes, self.repaired = self.line_number + 1, 0, False

    def __iter__(self) -> _LineSource:
        return self

    def __next__(self) -> str:
        self.line_number, raw = next(self._lines)
        self.row_bytes += len(raw)
        if self.row_bytes > MAX_ROW_BYTES:
            raise _RowError(f"The row has more than {MAX_ROW_BYTES} bytes; is a quotation mark not closed?")
        try:
            text, repaired = decode_line(raw)
        except UnicodeDecodeError:
            raise _RowError(f"Line {self.line_number} has bytes that are neither UTF-8 nor Windows-1252.") from None
        self.repaired |= repaired
        return text


def parse(stream: ByteStream, category: str | None = None) -> Iterator[Record]:
    """Yield a record for every row that is not empty; `category` is for items that name none.

    Raises:
        UnreadableError: when the first line does not name the columns, or the file is UTF-16.
    """
    lines = _LineSource(stream)
    try:
        first = next(lines, "")
    except _RowError as error:
        raise UnreadableError(f"the first line should name the columns ({error})") from error
    columns, delimiter = _parse_header(first)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.begin_row()
        try:
            cells = next(reader, None)
            if cells is None:
                return
            if any(map(str.strip, cells)):
                yield _parse_row(lines, columns, cells, category)
        except (csv.Error, ValueError) as error:
            yield Rejected(lines.row_start, f"{error}")


def _parse_header(line: str) -> tuple[list[str], str]:
    """Return the columns' names, and what stands between them."""
    best: list[str] = []
    delimiter = _DELIMITERS[0]
    for one in _DELIMITERS:
        try:
            names = next(csv.reader([line], delimiter=one), [])
        except csv.Error:
            continue
        names = [name.strip().casefold() for name in names[: MAX_COLUMNS + 1]]
        if len(_ALL_COLUMNS.intersection(names)) > len(_ALL_COLUMNS.intersection(best)):
            best, delimiter = names, one
    if not best:
        raise UnreadableError(
            f"the first line names no columns; it should have at least {', '.join(_REQUIRED_COLUMNS)}"
        )
    _check_columns([name for name in best if name])
    return best, delimiter


def _check_columns(names: Sequence[str]) -> None:
    faults = []
    if len(names) > MAX_COLUMNS:
        faults.append(f"there are more than {MAX_COLUMNS} columns")
    if unknown := [name[:40] for name in names if name not in _ALL_COLUMNS]:
        faults.append(f"unknown: {', '.join(unknown[:10])}")
    if twice := sorted({name for name in names if name in _ALL_COLUMNS and names.count(name) > 1}):
        faults.append(f"there twice: {', '.join(twice)}")
    # An item that a row changes would lose what has no column.
    needed = [*_REQUIRED_COLUMNS, *("kind", *_TRAILING_COLUMNS)] if "id" in names else _REQUIRED_COLUMNS
    if missing := [name for name in dict.fromkeys(needed) if name not in names]:
        faults.append(f"missing: {', '.join(missing)}{' (beside id all are needed)' if 'id' in names else ''}")
    if faults:
        raise UnreadableError(f"the columns are not as they should be; {'; '.join(faults)}")


def _parse_row(source: _LineSource, columns: Sequence[str], cells: Sequence[str], category: str | None) -> Record:
    beyond = [cell for name, cell in zip(columns, cells, strict=False) if not name] + list(cells[len(columns) :])
    if any(map(str.strip, beyond)):
        raise _RowError("A cell with something in it stands under no column's name.")
    row = {name: _unescape_formula(cell) for name, cell in zip(columns, cells, strict=False) if name}
    texts: dict[str, Any] = {name: row.get(name, "").strip() or None for name in _TEXT_COLUMNS}
    texts["explanation"] = texts["explanation"] or ""
    texts["difficulty"] = (texts["difficulty"] or "").casefold() or None
    texts["category"] = texts["category"] or category
    collected_at = row.get("collected_at", "").strip()
    kind, choices, right = _parse_answers(row)
    draft = ItemDraft(
        kind=kind,
        stem=row.get("stem", ""),
        choices=choices,
        right=right,
        collected_at=metadata_comment.parse_timestamp(collected_at) if collected_at else None,
        original=row.get("original"),
        **texts,
    )
    return validate_record(
        source.row_start, draft, repaired=source.repaired, item_id=_parse_id(row.get("id", "").strip())
    )


def _parse_answers(row: dict[str, str]) -> tuple[str, tuple[str, ...], tuple[int, ...]]:
    """Return kind, choices and right positions; a row without a kind has one by how many choices are right."""
    cells = [row.get(name, "").strip() for name in _CHOICE_COLUMNS]
    while cells and not cells[-1]:
        cells.pop()
    choices, numbers = tuple(cells), row.get("right", "").strip()
    if _NUMBERS.fullmatch(numbers) is None:
        raise _RowError(f"right is {numbers[:40]!r}, not numbers of choices, such as 1 or 1; 3.")
    right = tuple(int(number) - 1 for number in re.findall("[0-9]+", numbers))
    kind = row.get("kind", "").strip().casefold() or (Kind.MULTIPLE if len(set(right)) > 1 else Kind.SINGLE)
    # Spreadsheets write TRUE for True.
    if kind == Kind.TRUE_FALSE and [one.capitalize() for one in choices] in ([], list(TRUE_AND_FALSE)):
        choices = TRUE_AND_FALSE
    if "" in choices:
        raise _RowError(f"{_CHOICE_COLUMNS[choices.index('')]} is empty and a choice stands after it.")
    if wrong := [place + 1 for place in right if not 0 <= place < len(choices)]:
        raise _RowError(f"right names choice {wrong[0]}, and there are {len(choices)}.")
    return kind, choices, right


def _parse_id(text: str) -> int | None:
    if text and _ID.fullmatch(text) is None:
        raise _RowError(f"id is {text[:40]!r}, not a whole number.")
    return int(text) if text else None


def dump(drafts: Iterable[ItemDraft], on_unsupported: UnsupportedCallback | None = None) -> Iterator[str]:
    """Yield the table, with a column for each choice of the item that has most; nothing is refused."""
    with SpooledTemporaryFile(_SPOOL_BYTES, "w+", encoding="utf-8") as rows:
        widest = MIN_CHOICES
        for draft in drafts:
            choices = () if draft.kind == Kind.TRUE_FALSE else draft.choices
            widest = max(widest, len(choices))
            rows.write(json.dumps([_leading_cells(draft), choices, _trailing_cells(draft)]) + "\n")
        # The mark tells Excel that this is UTF-8.
        yield "\ufeff" + _format_row([*_LEADING_COLUMNS, *_CHOICE_COLUMNS[:widest], *_TRAILING_COLUMNS])
        rows.seek(0)
        for row in rows:
            before, choices, after = json.loads(row)
            yield _format_row([*before, *choices, *[""] * (widest - len(choices)), *after])


def _leading_cells(draft: ItemDraft) -> list[str]:
    return [str(getattr(draft, "id", "")), str(draft.kind), draft.stem]


def _trailing_cells(draft: ItemDraft) -> list[str]:
    right = "; ".join(str(place + 1) for place in draft.right)
    collected_at = draft.collected_at.isoformat() if draft.collected_at else ""
    return [right, *(getattr(draft, name) or "" for name in _TEXT_COLUMNS), collected_at, draft.original or ""]


def _format_row(cells: Sequence[str]) -> str:
    line = io.StringIO(newline="")
    csv.writer(line).writerow([_escape_formula(cell) for cell in cells])
    return line.getvalue()


def _escape_formula(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _unescape_formula(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
