"""Importing a file: parsed with no connection held, stored in batches, one bad record never stops the rest."""

from __future__ import annotations

import gc
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from webapp.bank import bulk_insert
from webapp.bank.formats import aiken, csv_table, gift, moodle_xml, native_json, opentriviaqa
from webapp.bank.formats.parse_result import Accepted, ByteStream, Record, Rejected, UnreadableError
from webapp.bank.import_store import RecordResult
from webapp.bank.source_sync import RecordOutcome

MAX_REPORTED = 1000
"""Records of a kind that are named, not only counted."""
MAX_REPORTED_CHARACTERS = 300
"""Characters of a reason, or of a stem."""
SWITCH_INTERVAL = 0.001
"""Seconds after which a thread that computes lets others in; with Python's own five, threads wait for each other."""
GC_THRESHOLD = 20_000
"""New ones after which Python looks for circles among them; 700 otherwise."""


class Format(StrEnum):
    """A format that can be imported."""

    OPENTRIVIAQA = "opentriviaqa"
    JSON = "json"
    GIFT = "gift"
    AIKEN = "aiken"
    MOODLE_XML = "moodle-xml"
    CSV = "csv"


@dataclass(frozen=True)
class PossibleDuplicate:
    """A new record whose stem another one has with other choices; `item` is None when that stands in the same file."""

    line: int
    stem: str
    item: int | None


@dataclass
class ImportReport:
    """What became of a file's records; those that may be duplicates are new and told of."""

    new: int = 0
    changed: int = 0
    duplicate: int = 0
    possible: int = 0
    repaired: int = 0
    rejected: int = 0
    reasons: list[Rejected] = field(default_factory=list)
    """The first of the rejected."""
    resembling: list[PossibleDuplicate] = field(default_factory=list)
    """The first of those that may be duplicates."""

    @property
    def records(self) -> int:
        """How many records the file had."""
        return self.new + self.changed + self.duplicate + self.rejected

    def add_rejected(self, rejected: Rejected) -> None:
        """Count a record that cannot be an item, and remember it while there is room."""
        self.rejected += 1
        if len(self.reasons) < MAX_REPORTED:
            self.reasons.append(Rejected(rejected.line, rejected.reason[:MAX_REPORTED_CHARACTERS]))

    def add_accepted(self, record: Accepted, result: RecordResult) -> None:
        """Count what became of a good record."""
        self.repaired += record.repaired
        self.new += result.outcome is RecordOutcome.NEW
        self.changed += result.outcome is RecordOutcome.CHANGED
        self.duplicate += result.outcome is RecordOutcome.DUPLICATE
        self.possible += result.is_possible_duplicate
        if result.is_possible_duplicate and len(self.resembling) < MAX_REPORTED:
            self.resembling.append(
                PossibleDuplicate(record.line, record.draft.stem[:MAX_REPORTED_CHARACTERS], result.similar_item_id)
            )


RejectedCallback = Callable[[Rejected], None]
"""Hears of every rejected record."""


class BatchHandler(Protocol):
    """Says what becomes of each record of a batch."""

    def __call__(self, accepted: Sequence[Accepted], /) -> list[RecordResult]:
        """Take a batch of good records."""


def parse(file_format: Format, stream: ByteStream, category: str | None) -> Iterator[Record]:
    """Yield the file's records.

    Raises:
        UnreadableError: when the file as a whole is not of the format.
    """
    parsers = {
        Format.OPENTRIVIAQA: opentriviaqa.parse,
        Format.JSON: native_json.parse,
        Format.GIFT: gift.parse,
        Format.AIKEN: aiken.parse,
        Format.MOODLE_XML: moodle_xml.parse,
        Format.CSV: csv_table.parse,
    }
    return parsers[file_format](stream, category)


def import_records(
    records: Iterable[Record],
    handle_batch: BatchHandler,
    report: ImportReport,
    on_rejected: RejectedCallback = lambda _: None,
    *,
    writers: int = 0,
) -> None:
    """Store all good records and write into `report` what became of each; memory holds a batch for each writer and one.

    `writers` threads store while this one reads on; without them it stores itself. `tell` hears of every rejected
    record. When reading ends with an error, what was read before it is stored and in the report; a repeated import
    leaves it out.

    Raises:
        UnreadableError: when the parser finds that the file is not of its format.
    """
    for batch, fates in _handle_batches(_split_batches(records), handle_batch, writers):
        accepted = (record for record in batch if isinstance(record, Accepted))
        for record, fate in zip(accepted, fates, strict=True):
            report.add_accepted(record, fate)
        for rejected in (record for record in batch if isinstance(record, Rejected)):
            report.add_rejected(rejected)
            on_rejected(rejected)


def _handle_batches(
    batches: Iterable[list[Record]], handle_batch: BatchHandler, writers: int
) -> Iterator[tuple[list[Record], Sequence[RecordResult]]]:
    """Yield the batches in order, each with what became of its good records; before an error of reading all of them."""

    def fates(batch: list[Record]) -> Sequence[RecordResult]:
        accepted = [record for record in batch if isinstance(record, Accepted)]
        return handle_batch(accepted) if accepted else []

    if not writers:
        yield from ((batch, fates(batch)) for batch in batches)
        return
    under_way: deque[tuple[list[Record], Future[Sequence[RecordResult]]]] = deque()

    def first() -> tuple[list[Record], Sequence[RecordResult]]:
        batch, future = under_way.popleft()
        return batch, future.result()

    with ThreadPoolExecutor(writers, thread_name_prefix="import") as threads, _tuned_interpreter():
        try:
            for batch in batches:
                under_way.append((batch, threads.submit(fates, batch)))
                if len(under_way) > writers:
                    yield first()
        except (OSError, UnreadableError):
            while under_way:
                yield first()
            raise
        while under_way:
            yield first()


@contextmanager
def _tuned_interpreter() -> Iterator[None]:
    """Let threads whose server has answered wait less for the interpreter, and look less often for circles of objects.

    Each batch waits for the interpreter several times. What it is made of lives as long as the batch, so looking
    through it again and again, a quarter of an import's time, finds nothing.
    """
    usual = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.set_threshold(GC_THRESHOLD, *usual[1][1:])
    try:
        yield
    finally:
        sys.setswitchinterval(usual[0])
        gc.set_threshold(*usual[1])


def _split_batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Yield the records in batches; before an error of reading also the batch that it cuts short."""
    batch: list[Record] = []
    length = 0
    try:
        for record in records:
            batch.append(record)
            length += _character_count(record)
            if len(batch) == bulk_insert.BATCH_SIZE or length > bulk_insert.MAX_BATCH_CHARACTERS:
                yield batch
                batch, length = [], 0
    except UnreadableError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _character_count(record: Record) -> int:
    """Return about how many characters a record has."""
    if isinstance(record, Rejected):
        return len(record.reason)
    draft = record.draft
    return len(draft.stem) + sum(map(len, draft.choices)) + len(draft.explanation) + len(draft.original or "")
