"""The bank, or a category of it, written out: read page by page, and nothing is held while a page is written."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from webapp.bank import items
from webapp.bank.formats import aiken, gift, own_json
from webapp.bank.formats.records import Refuse
from webapp.bank.items import Filters, Item
from webapp.bank.storing import Look

AT_ONCE = 500


class ExportFormat(StrEnum):
    """A format that can be written."""

    JSON = "json"
    GIFT = "gift"
    AIKEN = "aiken"


def everything(look: Look, category: str | None) -> Iterator[Item]:
    """Yield the bank's items, or one category's, by id; each page is read with a connection of its own."""
    filters, after = Filters(category=category), None
    while True:
        with look() as connection:
            page = items.search(connection, filters, after, AT_ONCE, is_whole=True)
        yield from page.rows
        if page.next_after is None:
            return
        after = page.next_after


def dump(file_format: ExportFormat, found: Iterator[Item], refuse: Refuse) -> Iterator[str]:
    """Yield items as a file's text, piece by piece; `refuse` is told of those that the format cannot hold."""
    if file_format is ExportFormat.JSON:
        return own_json.dump(found)
    if file_format is ExportFormat.GIFT:
        return gift.dump(found, refuse)
    return aiken.dump(found, refuse)
