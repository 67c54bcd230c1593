"""CSV as spreadsheets read and write it: one item a row, keyed by its id.

    id,kind,stem,choice_1,choice_2,choice_3,right,explanation,…
    7,single,Which one flies?,Crane,Kiwi,Emu,1,Emus run.,…
    ,multiple,Which two are birds?,Crane,Kiwi,Bat,1; 2,,…

`right` are the numbers of the right choices, from 1, with blanks, commas or semicolons between
them; `pinned` those of the choices that keep their places when the others are shuffled. A row whose
id the bank knows changes that item, any other adds one. True or false needs
no choices: 1 is true, 2 is false. A cell that a spreadsheet would take for a formula has an
apostrophe before it, which is removed when it is read.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from tempfile import SpooledTemporaryFile
from typing import Any

from webapp.bank.formats import metadata_comment, parse_result
from webapp.bank.formats.line_reader import MAX_LINE_BYTES, MIB, decode_line, read_lines
from webapp.bank.formats.parse_result import (
    ByteStream,
    Record,
    Rejected,
    UnreadableError,
    UnsupportedCallback,
)
from webapp.bank.item_draft import DETAIL_FIELDS, MAX_CHOICES, MIN_CHOICES, TRUE_AND_FALSE, ItemDraft
from webapp.bank.item_kinds import Kind

MAX_ROW_BYTES = MAX_LINE_BYTES
"""Of all the lines of a row."""
MAX_COLUMNS = 100

_CHOICE_COLUMNS = [f"choice_{number}" for number in range(1, MAX_CHOICES + 1)]
_LEADING_COLUMNS = ("id", "kind", "stem")
_TRAILING_COLUMNS = ("right", *DETAIL_FIELDS, "collected_at", "original")
_PINNED, _TAGS = "pinned", "tags"
_ALL_COLUMNS = {*_LEADING_COLUMNS, *_CHOICE_COLUMNS, *_TRAILING_COLUMNS, _PINNED, _TAGS}
_REQUIRED_COLUMNS = ("stem", "choice_1", "choice_2", "right")
_DELIMITERS = (",", ";", "\t")

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_ID = re.compile(r"[0-9]{1,18}")
_NUMBERS = re.compile(r"[0-9]{1,4}(?:[\s,;]+[0-9]{1,4})*")
_SPOOL_BYTES = 4 * MIB


class _RowError(ValueError):
    """The row cannot be read; the text says why."""


class _LineSource:
    """The decoded lines for the CSV reader; keeps where the present row begins and how long it is."""

    def __init__(self, stream: ByteStream) -> None:
        self._lines = read_lines(stream)
        self.line_number = 0
        self.row_start = 1
        self.row_bytes = 0
        self.repaired = False

    def begin_row(self) -> None:
        """Begin a row with the next line."""
        self.row_start, self.row_bytes, self.repaired = self.line_number + 1, 0, False

    def __iter__(self) -> _LineSource:
        return self

    def __next__(self) -> str:
        self.line_number, raw = next(self._lines)
        self.row_bytes += len(raw)
        if self.row_bytes > MAX_ROW_BYTES:
            raise _RowError(f"The row has more than {MAX_ROW_BYTES} bytes; is a quotation mark not closed?")
        text, repaired = decode_line(self.line_number, raw)
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
    except ValueError as error:
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
    """Return the names of the columns, and the delimiter: the one that gives most of the known names."""
    best: list[str] = []
    best_delimiter = _DELIMITERS[0]
    for delimiter in _DELIMITERS:
        try:
            names = next(csv.reader([line], delimiter=delimiter), [])
        except csv.Error:
            continue
        names = [name.strip().casefold() for name in names[: MAX_COLUMNS + 1]]
        if len(_ALL_COLUMNS.intersection(names)) > len(_ALL_COLUMNS.intersection(best)):
            best, best_delimiter = names, delimiter
    if not best:
        raise UnreadableError(
            f"the first line names no columns; it should have at least {', '.join(_REQUIRED_COLUMNS)}"
        )
    _check_columns([name for name in best if name])
    return best, best_delimiter


def _check_columns(names: Sequence[str]) -> None:
    errors = []
    if len(names) > MAX_COLUMNS:
        errors.append(f"there are more than {MAX_COLUMNS} columns")
    if unknown := [name[:40] for name in names if name not in _ALL_COLUMNS]:
        errors.append(f"unknown: {', '.join(unknown[:10])}")
    if repeated := sorted({name for name in names if name in _ALL_COLUMNS and names.count(name) > 1}):
        errors.append(f"there twice: {', '.join(repeated)}")
    # A row with an id replaces the whole item: what has no column would be lost.
    required = [*_REQUIRED_COLUMNS, *("kind", *_TRAILING_COLUMNS, _PINNED)] if "id" in names else _REQUIRED_COLUMNS
    if missing := [name for name in dict.fromkeys(required) if name not in names]:
        errors.append(f"missing: {', '.join(missing)}{' (beside id all are needed)' if 'id' in names else ''}")
    if errors:
        raise UnreadableError(f"the columns are not as they should be; {'; '.join(errors)}")


def _parse_row(source: _LineSource, columns: Sequence[str], cells: Sequence[str], category: str | None) -> Record:
    unnamed = [cell for name, cell in zip(columns, cells, strict=False) if not name] + list(cells[len(columns) :])
    if any(map(str.strip, unnamed)):
        raise _RowError("A cell with something in it stands under no column's name.")
    row = {name: _unescape_formula(cell) for name, cell in zip(columns, cells, strict=False) if name}
    texts: dict[str, Any] = {name: row.get(name, "").strip() or None for name in DETAIL_FIELDS}
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
        pinned=_parse_pinned(row),
        tags=tuple(row.get(_TAGS, "").split(",")),
        collected_at=metadata_comment.parse_timestamp(collected_at) if collected_at else None,
        original=row.get("original"),
        **texts,
    )
    return parse_result.validate_record(
        source.row_start, draft, repaired=source.repaired, item_id=_parse_id(row.get("id", "").strip())
    )


def _parse_answers(row: dict[str, str]) -> tuple[str, tuple[str, ...], tuple[int, ...]]:
    """Return kind, choices and right positions; without a kind, the number of right choices decides it."""
    cells = [row.get(name, "").strip() for name in _CHOICE_COLUMNS]
    while cells and not cells[-1]:
        cells.pop()
    choices, numbers = tuple(cells), row.get("right", "").strip()
    if _NUMBERS.fullmatch(numbers) is None:
        raise _RowError(f"right is {numbers[:40]!r}, not numbers of choices, such as 1 or 1; 3.")
    right = tuple(int(number) - 1 for number in re.findall("[0-9]+", numbers))
    kind = row.get("kind", "").strip().casefold() or (Kind.MULTIPLE if len(set(right)) > 1 else Kind.SINGLE)
    # Spreadsheets write TRUE for True.
    if kind == Kind.TRUE_FALSE and [choice.capitalize() for choice in choices] in ([], list(TRUE_AND_FALSE)):
        choices = TRUE_AND_FALSE
    if "" in choices:
        raise _RowError(f"{_CHOICE_COLUMNS[choices.index('')]} is empty and a choice stands after it.")
    if invalid := [position + 1 for position in right if not 0 <= position < len(choices)]:
        raise _RowError(f"right names choice {invalid[0]}, and there are {len(choices)}.")
    return kind, choices, right


def _parse_pinned(row: dict[str, str]) -> tuple[int, ...]:
    numbers = row.get(_PINNED, "").strip()
    if numbers and _NUMBERS.fullmatch(numbers) is None:
        raise _RowError(f"pinned is {numbers[:40]!r}, not numbers of choices, such as 4 or 3; 4.")
    return tuple(int(number) - 1 for number in re.findall("[0-9]+", numbers))


def _parse_id(text: str) -> int | None:
    if text and _ID.fullmatch(text) is None:
        raise _RowError(f"id is {text[:40]!r}, not a whole number.")
    return int(text) if text else None


def dump(drafts: Iterable[ItemDraft], on_unsupported: UnsupportedCallback | None = None) -> Iterator[str]:
    """Yield the table, with a column for each choice of the item that has most; CSV can hold every item."""
    with SpooledTemporaryFile(_SPOOL_BYTES, "w+", encoding="utf-8") as rows:
        choice_count = MIN_CHOICES
        for draft in drafts:
            choices = () if draft.kind == Kind.TRUE_FALSE else draft.choices
            choice_count = max(choice_count, len(choices))
            rows.write(json.dumps([_leading_cells(draft), choices, _trailing_cells(draft)]) + "\n")
        # The byte order mark tells Excel that this is UTF-8.
        yield "\ufeff" + _format_row(
            [*_LEADING_COLUMNS, *_CHOICE_COLUMNS[:choice_count], *_TRAILING_COLUMNS, _PINNED, _TAGS]
        )
        rows.seek(0)
        for row in rows:
            leading, choices, trailing = json.loads(row)
            yield _format_row([*leading, *choices, *[""] * (choice_count - len(choices)), *trailing])


def _leading_cells(draft: ItemDraft) -> list[str]:
    return [str(getattr(draft, "id", "")), str(draft.kind), draft.stem]


def _trailing_cells(draft: ItemDraft) -> list[str]:
    right = "; ".join(str(position + 1) for position in draft.right)
    collected_at = draft.collected_at.isoformat() if draft.collected_at else ""
    details = [getattr(draft, name) or "" for name in DETAIL_FIELDS]
    pinned = "; ".join(str(position + 1) for position in draft.pinned)
    return [right, *details, collected_at, draft.original or "", pinned, ", ".join(draft.tags)]


def _format_row(cells: Sequence[str]) -> str:
    line = io.StringIO(newline="")
    csv.writer(line).writerow([_escape_formula(cell) for cell in cells])
    return line.getvalue()


def _escape_formula(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _unescape_formula(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
