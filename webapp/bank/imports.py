"""Importing a file: it is parsed with no connection held and stored in batches; a bad record never stops the rest."""

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
"""Records of each outcome that a report lists; the others are only counted."""
MAX_REPORTED_CHARACTERS = 300
"""Characters of a reason or a stem in a report."""
SWITCH_INTERVAL = 0.001
"""Seconds after which a computing thread releases the interpreter; with Python's default of five milliseconds, threads
wait for each other."""
GC_THRESHOLD = 20_000
"""Allocated objects after which Python searches for reference cycles; its default is 700."""


class Format(StrEnum):
    """A format that can be imported."""

    OPENTRIVIAQA = "opentriviaqa"
    JSON = "json"
    GIFT = "gift"
    AIKEN = "aiken"
    MOODLE_XML = "moodle-xml"
    CSV = "csv"


FORMATS_BY_SUFFIX = {".json": Format.JSON, ".gift": Format.GIFT, ".xml": Format.MOODLE_XML, ".csv": Format.CSV}
"""Formats that the suffix of a file's name tells."""


def detect_format(file_name: str) -> Format | None:
    """Return the format that a file's name tells; None when it tells none."""
    name = file_name.lower()
    return next((file_format for suffix, file_format in FORMATS_BY_SUFFIX.items() if name.endswith(suffix)), None)


@dataclass(frozen=True)
class PossibleDuplicate:
    """A new record with the stem of another item but other choices; `item` is None when that is in the same file."""

    line: int
    stem: str
    item: int | None


class RecordCounts:
    """The counts that a report and a stored import have in common."""

    new: int
    changed: int
    duplicate: int
    rejected: int

    @property
    def records(self) -> int:
        """How many records the file has."""
        return self.new + self.changed + self.duplicate + self.rejected


@dataclass
class ImportReport(RecordCounts):
    """What became of a file's records; possible duplicates are new and listed as well."""

    new: int = 0
    changed: int = 0
    duplicate: int = 0
    possible: int = 0
    repaired: int = 0
    rejected: int = 0
    reasons: list[Rejected] = field(default_factory=list)
    """The first of the rejected records."""
    resembling: list[PossibleDuplicate] = field(default_factory=list)
    """The first of the possible duplicates."""

    def add_rejected(self, rejected: Rejected) -> None:
        """Count a record that cannot be an item, and list it while there is room."""
        self.rejected += 1
        if len(self.reasons) < MAX_REPORTED:
            self.reasons.append(Rejected(rejected.line, rejected.reason[:MAX_REPORTED_CHARACTERS]))

    def add_accepted(self, record: Accepted, result: RecordResult) -> None:
        """Count the outcome of a valid record."""
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
"""Called with every rejected record."""


class BatchHandler(Protocol):
    """Stores a batch of valid records, or determines what storing it would do."""

    def __call__(self, accepted: Sequence[Accepted], /) -> list[RecordResult]:
        """Return the result of each record, in order."""


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
    """Store all valid records and count the outcomes in `report`; memory holds one batch more than there are writers.

    `writers` threads store while the calling thread continues to parse; with none of them it stores itself.
    `on_rejected` is called with every rejected record. When parsing ends with an error, the records before it are
    stored and reported; a repeated import leaves them out as duplicates.

    Raises:
        UnreadableError: when the parser finds that the file is not of its format.
    """
    for batch, results in _handle_batches(_split_batches(records), handle_batch, writers):
        accepted = (record for record in batch if isinstance(record, Accepted))
        for record, result in zip(accepted, results, strict=True):
            report.add_accepted(record, result)
        for rejected in (record for record in batch if isinstance(record, Rejected)):
            report.add_rejected(rejected)
            on_rejected(rejected)


_BatchResults = tuple[list[Record], Sequence[RecordResult]]


def _handle_batches(
    batches: Iterable[list[Record]], handle_batch: BatchHandler, writers: int
) -> Iterator[_BatchResults]:
    """Yield the batches in order, each with the results of its valid records; a parser's error comes after all."""

    def handle(batch: list[Record]) -> _BatchResults:
        accepted = [record for record in batch if isinstance(record, Accepted)]
        return batch, handle_batch(accepted) if accepted else []

    if not writers:
        yield from map(handle, batches)
        return
    with ThreadPoolExecutor(writers, thread_name_prefix="import") as threads, _tuned_interpreter():
        yield from _handle_in_threads(batches, lambda batch: threads.submit(handle, batch), writers)


def _handle_in_threads(
    batches: Iterable[list[Record]], submit: Callable[[list[Record]], Future[_BatchResults]], writers: int
) -> Iterator[_BatchResults]:
    pending: deque[Future[_BatchResults]] = deque()
    error: Exception | None = None
    try:
        for batch in batches:
            pending.append(submit(batch))
            if len(pending) > writers:
                yield pending.popleft().result()
    except (OSError, UnreadableError) as parser_error:
        error = parser_error
    while pending:
        yield pending.popleft().result()
    if error is not None:
        raise error


@contextmanager
def _tuned_interpreter() -> Iterator[None]:
    """Let threads whose server has replied wait less for the interpreter, and search less often for reference cycles.

    Each batch waits for the interpreter several times. Its objects live as long as the batch, so searching them
    again and again takes a quarter of an import's time and finds nothing.
    """
    switch_interval, gc_threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.set_threshold(GC_THRESHOLD, *gc_threshold[1:])
    try:
        yield
    finally:
        sys.setswitchinterval(switch_interval)
        gc.set_threshold(*gc_threshold)


def _split_batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Yield the records in batches; before a parser's error also the batch that it cuts short."""
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
    """Return the approximate number of a record's characters."""
    if isinstance(record, Rejected):
        return len(record.reason)
    draft = record.draft
    return len(draft.stem) + sum(map(len, draft.choices)) + len(draft.explanation) + len(draft.original or "")
