"""Items loaded as a stream, where the server permits it; what it makes of them is what INSERT would."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.unit.bank.strategies import drafts as any_drafts
from tests.unit.bank.test_bulk_insert import stems, store, stored_while_the_last_is_created
from webapp.bank import bulk_insert, items
from webapp.bank.item_draft import ItemDraft
from webapp.bank.items import Filters
from webapp.lab.factories import item_draft

pytestmark = pytest.mark.usefixtures("server_that_may_be_loaded")


@pytest.fixture
def server_that_may_be_loaded(work: UnitOfWork) -> None:
    if work.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has nothing to load from")


@pytest.fixture
def everything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_insert, "MIN_LOAD_ROWS", 1)


@pytest.fixture
def server_that_refuses(work: UnitOfWork, server_that_may_be_loaded: None) -> Iterator[None]:
    allow(work, "OFF")
    yield
    allow(work, "ON")


def allow(work: UnitOfWork, switch: str) -> None:
    with work.autocommit() as connection:
        connection.exec_driver_sql(f"SET GLOBAL local_infile = {switch}")


def loads(work: UnitOfWork) -> int:
    """Return how many LOAD DATA statements the server has executed since it started."""
    with work.read() as connection:
        return int(connection.exec_driver_sql("SHOW GLOBAL STATUS LIKE 'Com_load'").one()[1])


def test_a_whole_batch_is_one_statement(work: UnitOfWork) -> None:
    before = loads(work)
    assert store(work, [item_draft() for _ in range(bulk_insert.BATCH_SIZE)]) == [True] * bulk_insert.BATCH_SIZE
    assert loads(work) - before == 1


@pytest.mark.usefixtures("server_that_refuses")
def test_a_server_that_does_not_permit_it_is_sent_inserts(work: UnitOfWork) -> None:
    before = loads(work)
    drafts = [item_draft() for _ in range(bulk_insert.BATCH_SIZE)]
    assert store(work, drafts) == [True] * bulk_insert.BATCH_SIZE
    assert loads(work) == before
    assert stems(work) == [draft.stem for draft in drafts]


@pytest.mark.usefixtures("everything_is_loaded")
def test_any_items_are_stored_as_they_are(work: UnitOfWork) -> None:
    """Quotes, backslashes, line breaks, emoji, and columns that only some of a batch have."""

    @given(st.lists(any_drafts(), min_size=1, max_size=5))
    @settings(max_examples=60)
    def are_stored(drafts: list[ItemDraft]) -> None:
        drafts = [replace(draft, stem=f"{next(numbers)} {draft.stem}") for draft in drafts]
        before = loads(work)
        assert all(store(work, drafts))
        assert loads(work) == before + 1
        with work.read() as connection:
            rows = items.search(connection, Filters(), None, 1000, with_original=True).rows[-len(drafts) :]
        assert [ItemDraft(**{name: getattr(row, name) for name in vars(drafts[0])}) for row in rows] == drafts

    numbers = count()
    are_stored()


@pytest.mark.usefixtures("everything_is_loaded")
@pytest.mark.parametrize("sign", ["\x02", "\x1e", "\x1f"])
def test_a_record_with_a_sign_that_parts_the_stream_does_not_come_apart(work: UnitOfWork, sign: str) -> None:
    drafts = [item_draft(original=f"one{sign}two"), item_draft()]
    assert store(work, drafts) == [True, True]
    with work.read() as connection:
        rows = items.search(connection, Filters(), None, 9, with_original=True).rows
    assert [row.original for row in rows] == [f"one{sign}two", None]


@pytest.mark.usefixtures("everything_is_loaded")
def test_an_item_created_between_looking_and_loading_is_a_duplicate_and_the_others_are_new(work: UnitOfWork) -> None:
    drafts = [item_draft() for _ in range(8)]
    assert stored_while_the_last_is_created(work, drafts) == [True] * 7 + [False]
    assert sorted(stems(work)) == sorted(draft.stem for draft in drafts)


@pytest.mark.usefixtures("everything_is_loaded")
def test_what_the_server_would_only_warn_of_is_refused_by_name_and_nothing_is_stored(work: UnitOfWork) -> None:
    with pytest.raises(DBAPIError, match="category"):
        store(work, [item_draft(), item_draft(category="c" * 101)])
    assert stems(work) == []


def test_a_server_that_asks_for_a_file_gets_nothing_and_the_connection_goes_on(work: UnitOfWork) -> None:
    with work.transaction() as connection:
        with pytest.raises(DBAPIError, match="asked for a file"):
            connection.exec_driver_sql("LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE item (stem)")
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM item").scalar() == 0
