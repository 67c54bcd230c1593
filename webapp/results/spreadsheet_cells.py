"""Cells that a spreadsheet shows as they are and never evaluates. Pure functions.

Players choose their names. A spreadsheet takes a text in a CSV file that begins with one of a few characters for a
formula, which may send the sheet's content elsewhere when it is opened.
"""

from __future__ import annotations

from datetime import datetime

Cell = str | int | float | datetime | None

BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The last four are the wide forms of an East Asian keyboard, which spreadsheets there take for the others."""
MAX_LENGTH = 32_000
"""Characters of a cell; a spreadsheet takes no more than 32,767."""


def safe_cell(value: Cell) -> Cell:
    """Return a value as a cell: a text that would be taken for a formula begins with an apostrophe then."""
    if not isinstance(value, str):
        return value
    return f"'{value[:MAX_LENGTH]}" if value.startswith(BEGINS_FORMULA) else value[:MAX_LENGTH]
