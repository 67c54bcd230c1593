"""Records of a source into the bank."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.bank import item_history, items, source_sync
from webapp.bank.item_draft import ItemDraft
from webapp.bank.items import Filters, Item
from webapp.bank.source_sync import RecordOutcome, SourceRecord
from webapp.db.timestamps import utc_now
from webapp.lab.factories import item_draft

NEW, CHANGED, DUPLICATE = RecordOutcome.NEW, RecordOutcome.CHANGED, RecordOutcome.DUPLICATE


class Collecting:
    """A collection from one source that begins when the object is created."""

    def __init__(self, work: UnitOfWork) -> None:
        self.work = work
        with work.read() as connection:
            started_at = connection.scalar(select(utc_now()))
        assert started_at is not None
        self.started_at = started_at

    def __call__(self, *drafts: ItemDraft, identities: tuple[str, ...] = ()) -> list[RecordOutcome]:
        at = self.started_at + timedelta(milliseconds=1)
        names: list[str | None] = [*identities] if identities else [None] * len(drafts)
        records = [
            SourceRecord(replace(draft, collected_at=at), identity)
            for draft, identity in zip(drafts, names, strict=True)
        ]
        return self.work.run_in_transaction(
            lambda connection: source_sync.merge(connection, "birds", records, self.started_at)
        )


@pytest.fixture
def collecting(work: UnitOfWork) -> Collecting:
    return Collecting(work)


def later_collection(work: UnitOfWork) -> Collecting:
    later = Collecting(work)
    later.started_at += timedelta(seconds=1)
    return later


def bank(work: UnitOfWork) -> list[Item]:
    with work.read() as connection:
        return list(items.search(connection, Filters(), None, 1000).rows)


def test_what_is_new_is_added_with_where_it_comes_from(work: UnitOfWork, collecting: Collecting) -> None:
    draft = item_draft(source="Birds", address="https://birds.example/1", licence="CC0", original='{"a": 1}')
    assert collecting(draft) == [NEW]
    (item,) = bank(work)
    with work.read() as connection:
        stored = items.find(connection, item.id)
    assert (stored.source, stored.address, stored.licence, stored.original) == (
        "Birds", "https://birds.example/1", "CC0", '{"a": 1}'
    )  # fmt: skip
    assert stored.collected_at == collecting.started_at + timedelta(milliseconds=1)


def test_what_was_collected_before_is_a_duplicate(work: UnitOfWork, collecting: Collecting) -> None:
    drafts = [item_draft() for _ in range(3)]
    assert collecting(*drafts, drafts[0]) == [NEW, NEW, NEW, DUPLICATE]
    assert later_collection(work)(*drafts) == [DUPLICATE] * 3
    assert {item.version for item in bank(work)} == {1}


def test_what_the_source_has_changed_is_a_new_version_and_the_old_one_is_kept(
    work: UnitOfWork, collecting: Collecting
) -> None:
    draft = item_draft(stem="Which bird?", difficulty="easy")
    collecting(draft)
    assert later_collection(work)(replace(draft, stem="Which bird!", difficulty="hard")) == [CHANGED]
    (item,) = bank(work)
    assert (item.version, item.stem, item.difficulty) == (2, "Which bird!", "hard")
    with work.read() as connection:
        (before,) = item_history.list_versions(connection, item.id)
    assert (before.version, before.stem, before.difficulty) == (1, "Which bird?", "easy")


def test_a_record_that_the_source_has_twice_is_one_item_however_often_it_is_collected(
    work: UnitOfWork, collecting: Collecting
) -> None:
    draft = item_draft(category="Birds")
    twin = replace(draft, category="Animals")
    assert collecting(draft) == [NEW]
    assert collecting(twin) == [DUPLICATE]
    assert later_collection(work)(twin, draft) == [DUPLICATE, DUPLICATE]
    assert [(item.category, item.version) for item in bank(work)] == [("Birds", 1)]


def test_twins_of_one_page_are_one_item(work: UnitOfWork, collecting: Collecting) -> None:
    draft = item_draft(category="Birds")
    twin = replace(draft, category="Animals")
    assert collecting(draft, twin) == [NEW, DUPLICATE]
    assert later_collection(work)(draft, twin) == [DUPLICATE, DUPLICATE]


def test_a_record_with_a_name_of_its_own_is_found_again_whatever_has_changed(
    work: UnitOfWork, collecting: Collecting
) -> None:
    collecting(item_draft(stem="Old?"), item_draft(stem="Other?"), identities=("1", "2"))
    assert later_collection(work)(item_draft(stem="Quite new?"), identities=("1",)) == [CHANGED]
    assert sorted(item.stem for item in bank(work)) == ["Other?", "Quite new?"]


def test_a_named_record_that_becomes_what_another_is_changes_nothing(work: UnitOfWork, collecting: Collecting) -> None:
    draft, other = item_draft(), item_draft()
    collecting(draft, other, identities=("1", "2"))
    assert later_collection(work)(other, identities=("1",)) == [DUPLICATE]
    assert {item.version for item in bank(work)} == {1}


def test_two_named_records_that_are_the_same_question_are_one_item(work: UnitOfWork, collecting: Collecting) -> None:
    draft = item_draft(category="Birds")
    twin = replace(draft, category="Animals")
    assert collecting(draft, twin, identities=("1", "2")) == [NEW, DUPLICATE]
    assert later_collection(work)(twin, draft, identities=("2", "1")) == [DUPLICATE, DUPLICATE]


def test_what_a_person_has_changed_is_left_alone(work: UnitOfWork, collecting: Collecting) -> None:
    draft = item_draft(stem="Which bird?")
    collecting(draft)
    (item,) = bank(work)
    edited = replace(draft, explanation="Because it flies.")
    work.run_in_transaction(lambda connection: items.change(connection, item.id, edited, 1))
    assert later_collection(work)(replace(draft, difficulty="hard")) == [DUPLICATE]
    (item,) = bank(work)
    assert (item.explanation, item.version) == ("Because it flies.", 2)
    assert item.collected_at is not None, "where it came from is still known"


def test_what_came_by_file_is_left_alone(work: UnitOfWork, collecting: Collecting) -> None:
    draft = item_draft()
    work.run_in_transaction(lambda connection: items.create(connection, draft))
    assert collecting(replace(draft, difficulty="hard")) == [DUPLICATE]


def test_a_batch_of_everything_at_once_is_told_apart(work: UnitOfWork, collecting: Collecting) -> None:
    drafts = [item_draft() for _ in range(200)]
    collecting(*drafts[:150])
    mixed = [replace(item, difficulty="hard") for item in drafts[:50]] + drafts[50:]
    outcomes = later_collection(work)(*mixed)
    assert outcomes == [CHANGED] * 50 + [DUPLICATE] * 100 + [NEW] * 50
    assert datetime.now(UTC) - bank(work)[0].changed_at < timedelta(hours=1)
