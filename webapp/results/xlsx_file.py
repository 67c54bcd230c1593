"""A table as a workbook of Excel, written row by row: what is written is in temporary files and not in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import IO, Any

from xlsxwriter import Workbook  # type: ignore[import-untyped]

from webapp.results.spreadsheet_cells import Cell

# Texts are in the sheet itself, since a shared table of texts would have to be kept in memory; nothing is guessed of
# them: neither a formula nor a link nor a number.
OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "default_date_format": "yyyy-mm-dd hh:mm:ss",
    "remove_timezone": True,
}
NAME_WIDTH = 24


def write_xlsx(file: IO[bytes], table: Iterable[Sequence[Cell]]) -> None:
    """Write a workbook with one sheet, whose first row are the names of the columns and stays in view."""
    workbook: Any = Workbook(file, OPTIONS)
    worksheet = workbook.add_worksheet("Results")
    worksheet.freeze_panes(1, 1)
    worksheet.set_column(0, 0, NAME_WIDTH)
    bold = workbook.add_format({"bold": True})
    for number, row in enumerate(table):
        for column, cell in enumerate(row):
            if cell is not None and cell != "":
                _write(worksheet, number, column, cell, bold if number == 0 else None)
    workbook.close()


def _write(worksheet: Any, row: int, column: int, cell: Cell, cell_format: Any) -> None:
    if isinstance(cell, str):
        worksheet.write_string(row, column, cell, cell_format)
    elif isinstance(cell, datetime):
        worksheet.write_datetime(row, column, cell)
    else:
        worksheet.write_number(row, column, cell)
