"""Importing a file: parsed with no connection held, stored in batches, one bad record never stops the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from sqlalchemy import Connection

from webapp.bank import bulk
from webapp.bank.drafts import ItemDraft
from webapp.bank.formats import aiken, csv_table, gift, moodle_xml, opentriviaqa, own_json
from webapp.bank.formats.records import Accepted, ByteStream, Record, Rejected, UnreadableError
from webapp.bank.items import column_values


class Format(StrEnum):
    """A format that can be imported."""

    OPENTRIVIAQA = "opentriviaqa"
    JSON = "json"
    GIFT = "gift"
    AIKEN = "aiken"
    MOODLE_XML = "moodle-xml"
    CSV = "csv"


@dataclass
class Report:
    """What became of a file's records."""

    new: int = 0
    duplicate: int = 0
    repaired: int = 0
    rejected: list[Rejected] = field(default_factory=list)

    @property
    def records(self) -> int:
        """How many records the file had."""
        return self.new + self.duplicate + len(self.rejected)


Look = Callable[[], AbstractContextManager[Connection]]
"""A unit of work that reads; see `pooling.work`."""
Transact = Callable[[Callable[[Connection], list[bool]]], list[bool]]
"""A unit of work that writes; it may run its deed more than once."""


class Store(Protocol):
    """Says for each draft of a batch whether it is new."""

    def __call__(self, drafts: Sequence[ItemDraft]) -> list[bool]:
        """Take a batch of checked drafts."""


def parse(file_format: Format, stream: ByteStream, category: str | None) -> Iterator[Record]:
    """Yield the file's records.

    Raises:
        UnreadableError: when the file as a whole is not of the format.
    """
    parsers = {
        Format.OPENTRIVIAQA: opentriviaqa.parse,
        Format.JSON: own_json.parse,
        Format.GIFT: gift.parse,
        Format.AIKEN: aiken.parse,
        Format.MOODLE_XML: moodle_xml.parse,
        Format.CSV: csv_table.parse,
    }
    return parsers[file_format](stream, category)


def into(transact: Transact) -> Store:
    """Return a store that keeps what is new, each batch in a transaction of its own."""
    return lambda drafts: transact(lambda connection: bulk.store(connection, drafts))


class DryRun:
    """A store that keeps nothing and counts as if it had."""

    def __init__(self, look: Look) -> None:
        """Look into the bank on connections of `look`."""
        self._look = look
        self._seen: set[bytes] = set()

    def __call__(self, drafts: Sequence[ItemDraft]) -> list[bool]:
        """Say which drafts would be new."""
        keys = [column_values(draft)["dedupe_key"] for draft in drafts]
        with self._look() as connection:
            self._seen |= bulk.already_there(connection, keys)
        new = []
        for key in keys:
            new.append(key not in self._seen)
            self._seen.add(key)
        return new


def import_records(records: Iterable[Record], store: Store, report: Report) -> None:
    """Store all good records and write into `report` what became of each; memory holds one batch.

    When reading ends with an error, what was read before it is stored and in the report; a
    repeated import leaves it out.

    Raises:
        UnreadableError: when the parser finds that the file is not of its format.
    """
    for batch in _batches(records):
        accepted = [record for record in batch if isinstance(record, Accepted)]
        new = store([record.draft for record in accepted]) if accepted else []
        report.rejected += [record for record in batch if isinstance(record, Rejected)]
        report.repaired += sum(record.repaired for record in accepted)
        report.new += sum(new)
        report.duplicate += len(new) - sum(new)


def _batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Yield the records in batches; before an error of reading also the batch that it cuts short."""
    batch: list[Record] = []
    try:
        for record in records:
            batch.append(record)
            if len(batch) == bulk.BATCH:
                yield batch
                batch = []
    except UnreadableError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch
