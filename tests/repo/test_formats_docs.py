"""The page for authors names every format, and its examples can be imported."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from webapp.bank import imports
from webapp.bank.exports import ExportFormat
from webapp.bank.formats.parse_result import Accepted
from webapp.bank.imports import FORMATS_BY_SUFFIX, Format

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text()
LANGUAGES = {Format.MOODLE_XML: "xml"}


@pytest.mark.parametrize("file_format", Format)
def test_the_example_of_every_format_is_the_same_item(file_format: Format) -> None:
    language = LANGUAGES.get(file_format, file_format.value)
    (example,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    (record,) = imports.parse(file_format, io.BytesIO(example.encode()), "Birds")
    assert isinstance(record, Accepted), record
    assert (record.draft.kind, record.draft.stem, record.draft.category) == ("single", "Which one flies?", "Birds")
    assert (record.draft.choices, record.draft.right) == (("Crane", "Kiwi"), (0,))


def test_the_table_says_which_formats_there_are_how_they_are_known_and_which_can_be_written() -> None:
    rows = re.findall(r"^\| `([a-z][a-z-]*)` \|(.*?)\|.*?\|(.*?)\|", PAGE, re.MULTILINE)
    assert {name for name, _, _ in rows} == set(Format)
    assert {name for name, _, written in rows if written.strip()} == set(ExportFormat)
    assert {known.strip("` "): name for name, known, _ in rows if known.strip()} == FORMATS_BY_SUFFIX
