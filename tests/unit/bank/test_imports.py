from __future__ import annotations

from collections.abc import Iterator

import pytest

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.pools import queue_pool
from webapp.bank import bulk_insert, import_store, imports, items
from webapp.bank.formats.parse_result import Accepted, Record, Rejected, UnreadableError
from webapp.bank.import_store import DryRun
from webapp.bank.imports import BatchHandler, ImportReport
from webapp.bank.item_draft import ItemDraft
from webapp.bank.items import Filters
from webapp.lab.factories import item_draft, make_item


def records(count: int) -> list[Record]:
    return [Accepted(line, item_draft()) for line in range(1, count + 1)]


def store_in(work: UnitOfWork) -> BatchHandler:
    return lambda accepted: work.run_in_transaction(
        lambda connection: import_store.store(connection, import_store.prepare(accepted))
    )


def import_all(work: UnitOfWork, batch: list[Record]) -> ImportReport:
    report = ImportReport()
    imports.import_records(batch, store_in(work), report)
    return report


def count_items(work: UnitOfWork) -> int:
    with work.read() as connection:
        return len(items.search(connection, Filters(), None, 3 * bulk_insert.BATCH_SIZE).rows)


def test_every_record_is_new_or_a_duplicate_or_rejected(work: UnitOfWork) -> None:
    known = item_draft()
    work.run_in_transaction(lambda connection: items.create(connection, known))
    bad = Rejected(9, "It is bad.")
    batch = [*records(2), Accepted(3, known), bad, Accepted(5, item_draft(), repaired=True)]
    report = import_all(work, batch)
    assert report == ImportReport(new=3, duplicate=1, repaired=1, rejected=1, reasons=[bad])
    assert report.records == 5


def test_files_of_many_batches_are_stored_whole(work: UnitOfWork) -> None:
    batch = records(2 * bulk_insert.BATCH_SIZE + 7)
    assert import_all(work, batch).new == len(batch)
    assert count_items(work) == len(batch)


def test_a_second_import_adds_nothing(work: UnitOfWork) -> None:
    batch = records(3)
    import_all(work, batch)
    assert import_all(work, batch) == ImportReport(duplicate=3)


def test_a_dry_run_counts_the_same_and_stores_nothing(work: UnitOfWork) -> None:
    known = work.run_in_transaction(make_item)
    repeated = ItemDraft(**{name: getattr(known, name) for name in ItemDraft.__dataclass_fields__})
    fresh = records(bulk_insert.BATCH_SIZE)
    batch = [Accepted(1, repeated), *fresh, Rejected(2, "bad"), *fresh]
    dry = ImportReport()
    imports.import_records(batch, DryRun(work.read), dry)
    assert count_items(work) == 1
    assert dry == import_all(work, batch)
    assert (dry.new, dry.duplicate) == (bulk_insert.BATCH_SIZE, bulk_insert.BATCH_SIZE + 1)


def test_no_connection_is_held_while_records_are_parsed(work: UnitOfWork) -> None:
    def parsing() -> Iterator[Record]:
        for record in records(bulk_insert.BATCH_SIZE + 1):
            assert queue_pool(work.engine).checkedout() == 0
            yield record

    for store in (DryRun(work.read), store_in(work)):
        imports.import_records(parsing(), store, ImportReport())


def test_what_was_stored_before_a_reading_error_stays_and_is_reported(work: UnitOfWork) -> None:
    def broken() -> Iterator[Record]:
        yield from records(bulk_insert.BATCH_SIZE + 1)
        raise UnreadableError("the tape is torn")

    report = ImportReport()
    with pytest.raises(UnreadableError):
        imports.import_records(broken(), store_in(work), report)
    assert report.new == count_items(work) == bulk_insert.BATCH_SIZE + 1
