"""Reads the files that results are exported to."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from xml.etree import ElementTree as ET

_ROW = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}row"


def read_csv(content: bytes) -> list[list[str]]:
    """Return the rows of a CSV file that says how it is encoded."""
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def read_xlsx(content: bytes) -> list[dict[str, str]]:
    """Return the cells of the only sheet of a workbook, by the letters of their columns."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        worksheet = ET.fromstring(archive.read("xl/worksheets/sheet1.xml"))  # noqa: S314 - our own file
    rows = worksheet.iter(_ROW)
    return [{re.sub(r"\d", "", cell.attrib["r"]): "".join(cell.itertext()) for cell in row} for row in rows]
