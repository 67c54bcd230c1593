from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.unit.bank.strategies import drafts as any_drafts
from webapp.bank import bulk_insert, import_store, items
from webapp.bank.formats.parse_result import Accepted
from webapp.bank.item_draft import ItemDraft
from webapp.bank.items import Filters
from webapp.bank.source_sync import RecordOutcome
from webapp.lab.factories import item_draft, make_item


def store(work: UnitOfWork, drafts: list[ItemDraft]) -> list[bool]:
    return work.run_in_transaction(lambda connection: stored(connection, drafts))


def stored(connection: Connection, drafts: list[ItemDraft]) -> list[bool]:
    """Return of each draft whether it was new."""
    fates = import_store.store(
        connection, import_store.prepare([Accepted(line, draft) for line, draft in enumerate(drafts, start=1)])
    )
    return [fate.outcome is RecordOutcome.NEW for fate in fates]


def stored_while_the_last_is_created(work: UnitOfWork, drafts: list[ItemDraft]) -> list[bool]:
    """Return of each draft whether it was new, when another transaction stores the last one and commits meanwhile."""
    with ThreadPoolExecutor(1) as other:
        with work.transaction() as connection:
            items.create(connection, drafts[-1])
            stored = other.submit(store, work, drafts)
            with pytest.raises(TimeoutError):
                stored.result(0.3)
        return stored.result(10)


def stems(work: UnitOfWork) -> list[str]:
    with work.read() as connection:
        return [row.stem for row in items.search(connection, Filters(), None, 2 * bulk_insert.BATCH_SIZE).rows]


def test_a_whole_batch_is_stored_in_its_order(work: UnitOfWork) -> None:
    drafts = [item_draft() for _ in range(bulk_insert.BATCH_SIZE)]
    assert store(work, drafts) == [True] * bulk_insert.BATCH_SIZE
    assert stems(work) == [draft.stem for draft in drafts]


def test_the_largest_items_fit(work: UnitOfWork) -> None:
    drafts = [
        item_draft(stem=f"{number} {'😀' * 3990}", choices=tuple(f"{choice}{'😀' * 490}" for choice in range(20)))
        for number in range(100)
    ]
    assert sum(store(work, drafts)) == 100
    assert len(set(stems(work))) == 100


def test_any_items_are_stored_as_they_are(work: UnitOfWork) -> None:
    """Quotes, backslashes, percent signs, emoji, and columns that only some of a batch have."""

    @given(st.lists(any_drafts(), min_size=1, max_size=5))
    @settings(max_examples=60)
    def are_stored(drafts: list[ItemDraft]) -> None:
        drafts = [replace(draft, stem=f"{next(numbers)} {draft.stem}") for draft in drafts]
        assert all(store(work, drafts))
        with work.read() as connection:
            rows = items.search(connection, Filters(), None, 1000, with_original=True).rows[-len(drafts) :]
        assert [ItemDraft(**{name: getattr(row, name) for name in vars(drafts[0])}) for row in rows] == drafts

    numbers = count()
    are_stored()


def test_each_draft_is_told_whether_it_was_new(work: UnitOfWork) -> None:
    known, twice, once = item_draft(), item_draft(), item_draft()
    work.run_in_transaction(lambda connection: items.create(connection, known))
    shouted = replace(twice, stem=twice.stem.upper())
    assert store(work, [known, twice, shouted, once]) == [False, True, False, True]
    assert stems(work) == [known.stem, twice.stem, once.stem]


def test_storing_again_adds_nothing_and_changes_nothing(work: UnitOfWork) -> None:
    drafts = [item_draft() for _ in range(3)]
    store(work, drafts)
    with work.read() as connection:
        before = items.search(connection, Filters(), None, 9)
    assert store(work, drafts) == [False] * 3
    with work.read() as connection:
        assert items.search(connection, Filters(), None, 9) == before


def test_what_is_stored_can_be_searched(work: UnitOfWork) -> None:
    store(work, [item_draft(stem="Which gadfly stung Io?"), item_draft()])
    with work.read() as connection:
        assert len(items.search(connection, Filters(words="gadfly"), None, 9).rows) == 1


def test_nothing_is_stored_of_nothing(work: UnitOfWork) -> None:
    assert store(work, []) == []


def test_another_error_is_not_taken_for_a_duplicate(work: UnitOfWork) -> None:
    with pytest.raises(DBAPIError):
        store(work, [item_draft(), item_draft(explanation=None)])
    assert stems(work) == []


def test_an_error_of_the_database_names_the_column_and_is_short(work: UnitOfWork) -> None:
    with pytest.raises(DBAPIError, match="explanation") as refused:
        store(work, [*(item_draft() for _ in range(bulk_insert.BATCH_SIZE - 1)), item_draft(explanation=None)])
    assert len(str(refused.value)) < 10_000


@pytest.mark.parametrize("face", ["", "😀" * 490], ids=["small", "large"])
def test_an_item_created_between_looking_and_storing_is_a_duplicate(work: UnitOfWork, face: str) -> None:
    """The other import's row is not committed at the time of the lookup, so only the constraint finds it."""
    drafts = [item_draft(choices=tuple(f"{face}{number}" for number in range(20))) for _ in range(8)]
    if work.engine.dialect.name == "sqlite":
        pytest.skip("SQLite allows one writer at a time")
    assert stored_while_the_last_is_created(work, drafts) == [True] * 7 + [False]


def test_of_imports_at_the_same_time_one_counts_each_item(work: UnitOfWork) -> None:
    drafts = [item_draft() for _ in range(120)]
    batches = [drafts[start:] + drafts[:start] for start in (0, 40, 80)]
    with ThreadPoolExecutor(3) as threads:
        counts = list(threads.map(lambda batch: sum(store(work, batch)), batches))
    assert sum(counts) == len(drafts)
    assert len(stems(work)) == len(drafts)


def test_a_batch_is_stored_beside_what_else_its_transaction_does(work: UnitOfWork) -> None:
    draft = item_draft()

    def both(connection: Connection) -> list[bool]:
        make_item(connection, stem=draft.stem, choices=draft.choices)
        return stored(connection, [draft, item_draft()])

    assert work.run_in_transaction(both) == [False, True]
