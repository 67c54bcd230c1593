"""A file is uploaded, imported as one unit after a dry run, and its import is undone."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, select, update

from poolproof import deadlines
from poolproof.errors import PoolTimeoutError
from poolproof.integrations.flask_ext import PoolingState
from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.pools import queue_pool
from webapp.bank import bulk_insert, exports, import_jobs, import_service, import_undo, imports, items, upload_chunks
from webapp.bank.formats import native_json
from webapp.bank.formats.parse_result import Accepted, Rejected
from webapp.bank.import_jobs import ImportJob, ImportSpec, ImportState
from webapp.bank.imports import Format, ImportReport
from webapp.bank.item_draft import ItemDraft
from webapp.bank.items import Filters, Item
from webapp.bank.models import ItemImport, ItemImportChunk
from webapp.db.timestamps import seconds_ago
from webapp.errors import BusyError, ImportStateError, InvalidInputError, NotFoundError, TooLargeError
from webapp.lab.factories import item_draft, make_item
from webapp.quizzes import drafts
from webapp.quizzes.drafts import DraftValues

GOOD = b"#Q Which river is long?\n^ Nile\nA Rhine\nB Nile\n\n"
ANOTHER = b"#Q Which lake is deep?\n^ Baikal\nA Baikal\nB Erie\n\n"
BAD = b"#Q Which one?\n^ Both\nA One\nB Other\n\n"
TRIVIA = ImportSpec("ada", "rivers", Format.OPENTRIVIAQA, "Water")
MAX_BYTES = 1024 * 1024


def upload(work: UnitOfWork, content: bytes, spec: ImportSpec = TRIVIA, max_bytes: int = MAX_BYTES) -> int:
    return import_service.store_upload(work, spec, io.BytesIO(content), max_bytes)


def import_file(work: UnitOfWork, content: bytes) -> ImportJob:
    return import_service.run(work, upload(work, content))


def bank(work: UnitOfWork) -> list[Item]:
    with work.read() as connection:
        return list(items.search(connection, Filters(), None, 5000).rows)


def count_chunks(work: UnitOfWork) -> int:
    with work.read() as connection:
        return connection.execute(select(func.count()).select_from(ItemImportChunk)).scalar_one()


def import_accepted(work: UnitOfWork, records: list[Accepted]) -> int:
    """An import of these records by a command, without a file."""
    number = work.run_in_transaction(lambda connection: import_jobs.create(connection, TRIVIA, ImportState.IMPORTING))
    report = ImportReport()
    imports.import_records(records, import_service.make_batch_handler(work, number), report)
    import_service.finish(work, number, report)
    return number


def change(work: UnitOfWork, item: Item, **changes: object) -> Item:
    values = {name: getattr(item, name) for name in ItemDraft.__dataclass_fields__} | changes
    return work.run_in_transaction(
        lambda connection: items.change(connection, item.id, ItemDraft(**values), item.version)
    )


def test_a_file_is_looked_at_then_imported_and_its_import_is_one_unit(work: UnitOfWork) -> None:
    number = upload(work, GOOD + BAD + ANOTHER)
    checked = import_service.dry_run(work, number)
    assert (checked.state, checked.records, checked.new, checked.rejected) == (ImportState.CHECKED, 3, 2, 1)
    assert [rejected.line for rejected in checked.reasons] == [6]
    assert bank(work) == []
    imported = import_service.run(work, number)
    assert imported == replace(checked, state=ImportState.DONE)
    assert [item.category for item in bank(work)] == ["Water", "Water"]
    assert count_chunks(work) == 0


def test_a_file_of_many_pieces_is_read_as_it_came(work: UnitOfWork) -> None:
    content = bytes(range(256)) * 5000
    number = upload(work, content, max_bytes=len(content))
    assert count_chunks(work) == 3
    assert upload_chunks.open_file(work.read, number).read(len(content) + 1) == content


def test_nothing_stays_of_a_file_that_is_too_large_or_does_not_come_whole(work: UnitOfWork) -> None:
    class Torn(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if not (content := super().read(size)):
                raise ConnectionResetError
            return content

    with pytest.raises(TooLargeError):
        upload(work, b"x" * (upload_chunks.CHUNK_SIZE + 2), max_bytes=upload_chunks.CHUNK_SIZE + 1)
    with pytest.raises(ConnectionResetError):
        import_service.store_upload(work, TRIVIA, Torn(b"x" * (upload_chunks.CHUNK_SIZE + 2)), MAX_BYTES)
    assert count_chunks(work) == 0


def test_a_file_that_is_not_of_its_format_is_refused_and_forgotten(work: UnitOfWork) -> None:
    for operation in (import_service.dry_run, import_service.run):
        number = upload(work, b"[1,", replace(TRIVIA, file_format=Format.JSON))
        with pytest.raises(InvalidInputError, match="not JSON"):
            operation(work, number)
        with pytest.raises(NotFoundError):
            import_service.run(work, number)


def test_a_file_waits_for_a_day(work: UnitOfWork) -> None:
    number = upload(work, GOOD)
    long_ago = update(ItemImport).values(at=seconds_ago(import_jobs.FILE_TTL + 1))
    work.run_in_transaction(lambda connection: connection.execute(long_ago))
    other = upload(work, ANOTHER)
    with pytest.raises(NotFoundError, match="kept for a day"):
        import_service.dry_run(work, number)
    assert (count_chunks(work), import_service.dry_run(work, other).new) == (1, 1)


def test_the_file_of_an_import_that_was_broken_off_is_kept_for_a_day_too(work: UnitOfWork) -> None:
    number = upload(work, GOOD)
    work.run_in_transaction(lambda connection: import_jobs.set_state(connection, number, ImportState.IMPORTING))
    long_ago = update(ItemImport).values(at=seconds_ago(import_jobs.FILE_TTL + 1))
    work.run_in_transaction(lambda connection: connection.execute(long_ago))
    import_file(work, ANOTHER)
    assert count_chunks(work) == 0
    assert import_undo.undo(work, number).state is ImportState.UNDONE


def test_who_is_sent_away_leaves_no_file_behind(work: UnitOfWork) -> None:
    with import_service.import_lock(), pytest.raises(BusyError):
        import_service.process_upload(work, TRIVIA, io.BytesIO(GOOD), MAX_BYTES, import_service.dry_run)
    assert count_chunks(work) == 0
    assert import_service.process_upload(work, TRIVIA, io.BytesIO(GOOD), MAX_BYTES, import_service.dry_run).new == 1


def test_an_import_is_carried_out_once(work: UnitOfWork) -> None:
    number = import_file(work, GOOD).id
    with pytest.raises(ImportStateError, match="done"):
        import_service.run(work, number)


def test_an_import_that_was_broken_off_is_carried_out_to_its_end_and_counts_all(work: UnitOfWork) -> None:
    number = upload(work, GOOD + ANOTHER)
    work.run_in_transaction(lambda connection: import_jobs.set_state(connection, number, ImportState.IMPORTING))
    first_batch: list[Accepted] = [
        each for each in imports.parse(Format.OPENTRIVIAQA, io.BytesIO(GOOD), "Water") if isinstance(each, Accepted)
    ]
    import_service.make_batch_handler(work, number)(first_batch)
    imported = import_service.run(work, number)
    assert (imported.new, imported.duplicate, len(bank(work))) == (2, 0, 2)


def test_a_process_imports_one_file_at_a_time(work: UnitOfWork) -> None:
    number = upload(work, GOOD)
    with import_service.import_lock(), pytest.raises(BusyError):
        import_service.run(work, number)
    assert import_service.run(work, number).new == 1


@pytest.mark.parametrize("operation", [import_service.dry_run, import_service.run])
def test_an_import_may_take_longer_than_a_request_once_it_has_begun(
    work: UnitOfWork, operation: Callable[[UnitOfWork, int], ImportJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    parse, remaining = imports.parse, list[float | None]()

    def parse_and_look(*arguments: Any) -> Any:
        remaining.append(deadlines.remaining())
        return parse(*arguments)

    def a_request() -> None:
        deadlines.set_deadline(1000)
        import_service.process_upload(work, TRIVIA, io.BytesIO(GOOD), MAX_BYTES, operation)
        remaining.append(deadlines.remaining())

    monkeypatch.setattr(imports, "parse", parse_and_look)
    copy_context().run(a_request)
    inside, after = remaining
    assert inside is None
    assert after is not None


def test_a_transfer_that_has_not_begun_waits_no_longer_than_its_request_may(
    pooling: PoolingState, work: UnitOfWork
) -> None:
    number, background = upload(work, GOOD), pooling.background
    beginnings: list[Callable[[], Any]] = [
        lambda: import_service.process_upload(background, TRIVIA, io.BytesIO(GOOD), MAX_BYTES, import_service.run),
        lambda: import_service.run(background, number),
        lambda: import_undo.undo(background, number),
        *(partial(exports.stream_export, background, file_format, None) for file_format in exports.ExportFormat),
    ]

    def a_request(begin: Callable[[], Any]) -> None:
        deadlines.set_deadline(0)
        with pytest.raises(PoolTimeoutError):
            begin()

    pool = queue_pool(background.engine)
    held = [pool.connect() for _ in range(pool.size())]
    for begin in beginnings:
        copy_context().run(a_request, begin)
    for connection in held:
        connection.close()


def test_undoing_takes_away_what_was_added_and_may_be_repeated(work: UnitOfWork) -> None:
    mine = work.run_in_transaction(make_item)
    number = import_accepted(work, [Accepted(line, item_draft()) for line in range(bulk_insert.BATCH_SIZE + 5)])
    for _ in range(2):
        undone = import_undo.undo(work, number)
        assert (undone.state, undone.removed, undone.stayed) == (ImportState.UNDONE, bulk_insert.BATCH_SIZE + 5, ())
    assert bank(work) == [mine]


def test_undoing_brings_what_was_changed_back_as_a_new_version(work: UnitOfWork) -> None:
    item = work.run_in_transaction(make_item)
    other = item_draft(stem="Something else?")
    number = import_accepted(work, [Accepted(1, other, item_id=item.id)])
    assert bank(work)[0].stem == other.stem
    for _ in range(2):
        assert import_undo.undo(work, number).restored == 1
    present = bank(work)[0]
    assert (present.stem, present.choices, present.version) == (item.stem, item.choices, 3)


def test_what_was_changed_since_or_is_in_a_quiz_stays_and_is_named(work: UnitOfWork) -> None:
    item = work.run_in_transaction(make_item)
    number = import_accepted(work, [Accepted(1, item_draft()), Accepted(2, item_draft()), Accepted(3, item_draft()),
                          Accepted(4, item_draft(), item_id=item.id)])  # fmt: skip
    changed, _, used, changed_again = sorted(bank(work), key=lambda each: (each.id == item.id, each.id))
    change(work, changed, explanation="Mine.")
    change(work, changed_again, explanation="Mine.")
    work.run_in_transaction(lambda connection: drafts.create(connection, DraftValues("Quiz", item_ids=(used.id,))))
    for _ in range(2):
        undone = import_undo.undo(work, number)
        assert (undone.removed, undone.restored) == (1, 0)
        assert {(skipped.item, skipped.reason) for skipped in undone.stayed} == {
            (changed.id, import_undo.CHANGED_SINCE),
            (changed_again.id, import_undo.CHANGED_SINCE),
            (used.id, import_undo.IN_USE),
        }
    assert {item.id for item in bank(work)} == {changed.id, changed_again.id, used.id}


def test_what_another_item_has_become_in_the_meantime_is_not_brought_back(work: UnitOfWork) -> None:
    item = work.run_in_transaction(make_item)
    number = import_accepted(work, [Accepted(1, item_draft(), item_id=item.id)])
    work.run_in_transaction(lambda connection: make_item(connection, stem=item.stem, choices=item.choices))
    for _ in range(2):
        undone = import_undo.undo(work, number)
        assert [(skipped.item, skipped.reason) for skipped in undone.stayed] == [(item.id, import_undo.TAKEN)]


def test_nothing_is_stored_by_an_import_that_was_undone_meanwhile(work: UnitOfWork) -> None:
    number = work.run_in_transaction(lambda connection: import_jobs.create(connection, TRIVIA, ImportState.IMPORTING))
    import_undo.undo(work, number)
    with pytest.raises(ImportStateError, match="undone"):
        import_service.make_batch_handler(work, number)([Accepted(1, item_draft())])
    assert bank(work) == []


def test_a_file_that_is_only_kept_cannot_be_undone(work: UnitOfWork) -> None:
    number = upload(work, GOOD)
    with pytest.raises(ImportStateError):
        import_undo.undo(work, number)


def test_the_register_tells_the_latest_first(work: UnitOfWork) -> None:
    numbers = [import_file(work, GOOD).id for _ in range(3)]
    with work.read() as connection:
        page = import_jobs.list_latest(connection, None, 2)
        rest = import_jobs.list_latest(connection, page.next_after, 2)
    assert [each.id for each in [*page.rows, *rest.rows]] == numbers[::-1]
    assert (rest.next_after, rest.rows[0].account, rest.rows[0].file_name) == (None, "ada", "rivers")


def test_only_the_first_of_very_many_rejected_are_named(work: UnitOfWork) -> None:
    report = ImportReport()
    listed: list[Rejected] = []
    rejected = [Rejected(line, "x" * 1000) for line in range(imports.MAX_REPORTED + 10)]
    imports.import_records(rejected, lambda _: [], report, listed.append)
    assert (report.rejected, len(report.reasons), len(report.reasons[0].reason)) == (
        1010,
        1000,
        imports.MAX_REPORTED_CHARACTERS,
    )
    assert listed == rejected


def test_what_is_exported_is_imported_again_through_pieces(work: UnitOfWork) -> None:
    work.run_in_transaction(make_item)
    content = "".join(native_json.dump(bank(work))).encode()
    number = upload(work, content, replace(TRIVIA, file_format=Format.JSON))
    assert import_service.dry_run(work, number).duplicate == 1
