"""Records of a file: new, changed, known, or perhaps known; a dry run foretells what an import does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import update

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.bank import import_store, imports, item_history, items
from webapp.bank.formats.parse_result import Accepted, Record
from webapp.bank.import_store import DryRun
from webapp.bank.imports import BatchHandler, ImportReport, PossibleDuplicate
from webapp.bank.item_draft import ItemDraft
from webapp.bank.items import Item
from webapp.bank.models import Item as ItemRow
from webapp.lab.factories import item_draft, make_item

COUNTS = ("new", "changed", "duplicate", "possible", "repaired", "rejected")


def draft_of(item: Item, **changes: object) -> ItemDraft:
    return ItemDraft(**{name: getattr(item, name) for name in ItemDraft.__dataclass_fields__} | changes)


def store_in(work: UnitOfWork) -> BatchHandler:
    return lambda accepted: work.run_in_transaction(
        lambda connection: import_store.store(connection, import_store.prepare(accepted), 7)
    )


def import_after_dry_run(work: UnitOfWork, records: list[Record]) -> ImportReport:
    """Import the records, and check that a dry run reports the same."""
    dry, done = ImportReport(), ImportReport()
    imports.import_records(records, DryRun(work.read), dry)
    imports.import_records(records, store_in(work), done)
    in_one_batch = [replace(possible, item=None) for possible in done.resembling]
    assert [getattr(dry, name) for name in COUNTS] == [getattr(done, name) for name in COUNTS]
    assert [replace(possible, item=None) for possible in dry.resembling] == in_one_batch
    return done


def find(work: UnitOfWork, item_id: int) -> Item:
    with work.read() as connection:
        return items.find(connection, item_id)


def test_a_record_that_names_an_item_changes_it_and_what_it_was_is_kept(work: UnitOfWork) -> None:
    item = work.run_in_transaction(make_item)
    report = import_after_dry_run(work, [Accepted(2, draft_of(item, explanation="Better."), item_id=item.id)])
    assert (report.new, report.changed, report.duplicate) == (0, 1, 0)
    assert (find(work, item.id).explanation, find(work, item.id).version) == ("Better.", 2)
    with work.read() as connection:
        assert [version.explanation for version in item_history.list_versions(connection, item.id)] == [
            item.explanation
        ]


def test_a_record_that_is_what_its_item_is_changes_nothing(work: UnitOfWork) -> None:
    item = work.run_in_transaction(make_item)
    assert import_after_dry_run(work, [Accepted(2, draft_of(item), item_id=item.id)]).duplicate == 1
    assert find(work, item.id) == item


def test_a_record_that_names_no_item_of_the_bank_is_added(work: UnitOfWork) -> None:
    assert import_after_dry_run(work, [Accepted(2, item_draft(), item_id=999_999)]).new == 1


def test_an_item_does_not_become_what_another_one_is(work: UnitOfWork) -> None:
    item, other = work.run_in_transaction(make_item), work.run_in_transaction(make_item)
    records: list[Record] = [
        Accepted(1, draft_of(other), item_id=item.id),
        fresh := Accepted(2, item_draft()),
        Accepted(3, fresh.draft, item_id=item.id),
    ]
    report = import_after_dry_run(work, records)
    assert (report.new, report.changed, report.duplicate) == (1, 0, 2)
    assert find(work, item.id) == item


def test_a_file_changes_an_item_once(work: UnitOfWork) -> None:
    item = work.run_in_transaction(make_item)
    records: list[Record] = [Accepted(line, draft_of(item, explanation=f"{line}"), item_id=item.id) for line in (1, 2)]
    assert import_after_dry_run(work, records).changed == 1
    assert find(work, item.id).explanation == "1"


def test_an_equal_stem_with_other_choices_is_imported_and_told(work: UnitOfWork) -> None:
    known = work.run_in_transaction(make_item)
    like_it = item_draft(stem=known.stem.upper().replace("?", " !"))
    alone = item_draft()
    like_that = item_draft(stem=alone.stem)
    report = import_after_dry_run(work, [Accepted(1, like_it), Accepted(2, alone), Accepted(3, like_that)])
    assert (report.new, report.possible) == (3, 2)
    assert report.resembling == [
        PossibleDuplicate(1, like_it.stem, known.id),
        PossibleDuplicate(3, like_that.stem, None),
    ]


@pytest.mark.parametrize("changes", [{"fingerprints": b"12345678"}, {}])
def test_a_person_answers_for_what_a_file_has_changed(work: UnitOfWork, changes: dict[str, bytes]) -> None:
    item = work.run_in_transaction(make_item)
    work.run_in_transaction(
        lambda connection: connection.execute(
            update(ItemRow).where(ItemRow.id == item.id).values(original="as it was", **changes)
        )
    )
    import_after_dry_run(work, [Accepted(1, draft_of(item, category="Other"), item_id=item.id)])
    with work.read() as connection:
        row = connection.execute(ItemRow.__table__.select()).one()
    assert (row.fingerprints, row.original, row.import_id, row.category) == (None, "as it was", 7, "Other")
