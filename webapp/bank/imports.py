"""Importing a file: parsed with no connection held, stored in batches, one bad record never stops the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import IO, Protocol

from sqlalchemy import Connection

from webapp.bank import bulk
from webapp.bank.formats import opentriviaqa, own_json
from webapp.bank.formats.records import Accepted, Record, Rejected
from webapp.bank.items import ItemDraft, column_values


class Format(StrEnum):
    """A format that can be imported."""

    OPENTRIVIAQA = "opentriviaqa"
    JSON = "json"


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


Transact = Callable[[Callable[[Connection], list[bool]]], list[bool]]
"""A unit of work: it may run its deed more than once (see `pooling.work`)."""


class Store(Protocol):
    """Says for each draft of a batch whether it is new."""

    def __call__(self, drafts: Sequence[ItemDraft]) -> list[bool]:
        """Take a batch of checked drafts."""


def parse(file_format: Format, stream: IO[bytes], category: str | None) -> Iterator[Record]:
    """Yield the file's records.

    Raises:
        UnreadableError: when the file as a whole is not of the format.
    """
    if file_format is Format.OPENTRIVIAQA:
        return opentriviaqa.parse(stream, category)
    return own_json.parse(stream, category)


def into(transact: Transact) -> Store:
    """Return a store that keeps what is new, each batch in a transaction of its own."""
    return lambda drafts: transact(lambda connection: bulk.store(connection, drafts))


class DryRun:
    """A store that keeps nothing and counts as if it had."""

    def __init__(self, transact: Transact) -> None:
        """Look into the bank by `transact`."""
        self._transact = transact
        self._seen: set[bytes] = set()

    def __call__(self, drafts: Sequence[ItemDraft]) -> list[bool]:
        """Say which drafts would be new."""
        keys = [column_values(draft)["dedupe_key"] for draft in drafts]

        def look(connection: Connection) -> list[bool]:
            known = bulk.already_there(connection, keys)
            return [key not in known for key in keys]

        new = []
        for key, unknown in zip(keys, self._transact(look), strict=True):
            new.append(unknown and key not in self._seen)
            self._seen.add(key)
        return new


def import_records(records: Iterable[Record], store: Store) -> Report:
    """Store all good records and say what became of each; memory holds one batch.

    Raises:
        UnreadableError: when the parser finds that the file is not of its format; batches
            before that place stay stored, and a repeated import leaves them out.
    """
    report = Report()
    stream = iter(records)
    while batch := list(islice(stream, bulk.BATCH)):
        accepted = [record for record in batch if isinstance(record, Accepted)]
        report.rejected += [record for record in batch if isinstance(record, Rejected)]
        report.repaired += sum(record.repaired for record in accepted)
        if accepted:
            new = store([record.draft for record in accepted])
            report.new += sum(new)
            report.duplicate += len(new) - sum(new)
    return report
