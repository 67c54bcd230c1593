"""Export the bank or a category: items are read page by page, and no connection is held while a page is written."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from itertools import chain, islice

from poolproof.transactions.unit_of_work import ConnectionFactory, UnitOfWork
from webapp.bank import items
from webapp.bank.formats import aiken, csv_table, gift, moodle_xml, native_json
from webapp.bank.formats.parse_result import UnsupportedCallback
from webapp.bank.item_draft import ItemDraft
from webapp.bank.items import Filters, Item
from webapp.db.streamed_reads import connect_for_stream

PAGE_SIZE = 500


class ExportFormat(StrEnum):
    """A format that can be written."""

    JSON = "json"
    GIFT = "gift"
    AIKEN = "aiken"
    MOODLE_XML = "moodle-xml"
    CSV = "csv"


FILE_SUFFIXES = {"aiken": "txt", "moodle-xml": "xml"}
"""Suffixes of file names, where they are not the format's name."""
MEDIA_TYPES = {"json": "application/json", "csv": "text/csv", "moodle-xml": "application/xml"}
"""Media types of the formats that are not plain text."""


def file_name_and_type(file_format: ExportFormat) -> tuple[str, str]:
    """Return a name for a file of this format, and its media type."""
    return f"items.{FILE_SUFFIXES.get(file_format, file_format)}", MEDIA_TYPES.get(file_format, "text/plain")


def stream_export(work: UnitOfWork, file_format: ExportFormat, category: str | None) -> Iterator[str]:
    """Yield a file's text for a request; the first page of items is read, and the first piece made, before it returns.

    The first page is read within the request's deadline, the others without one. Items that the format cannot hold are
    left out.
    """
    items_read = iter_items(connect_for_stream(work), category)
    # An error before the first byte can still become an error response.
    first = list(islice(items_read, 1))
    text = dump(file_format, chain(first, items_read), lambda *_: None)
    return chain([next(text, "")], text)


def iter_items(connect: ConnectionFactory, category: str | None) -> Iterator[Item]:
    """Yield the bank's items, or one category's, by id; each page is read with a connection of its own."""
    filters, after = Filters(category=category), None
    while True:
        with connect() as connection:
            page = items.search(connection, filters, after, PAGE_SIZE, with_original=True)
        yield from page.rows
        if page.next_after is None:
            return
        after = page.next_after


def dump(file_format: ExportFormat, drafts: Iterator[ItemDraft], on_unsupported: UnsupportedCallback) -> Iterator[str]:
    """Yield items as a file's text, piece by piece; those that the format cannot hold go to `on_unsupported`."""
    if file_format is ExportFormat.JSON:
        return native_json.dump(drafts)
    writers = {
        ExportFormat.GIFT: gift.dump,
        ExportFormat.AIKEN: aiken.dump,
        ExportFormat.MOODLE_XML: moodle_xml.dump,
        ExportFormat.CSV: csv_table.dump,
    }
    return writers[file_format](drafts, on_unsupported)
