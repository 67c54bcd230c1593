from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, insert, select
from sqlalchemy.exc import DBAPIError

from poolproof.integrations.flask_ext import PoolingState
from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.clock import SettableClock
from webapp.web.rest.models import IdempotencyKey
from webapp.web.write_probe import CANNOT_STORE, INTERVAL, LONG_AGO, WriteProbe

FILL_A_TABLE_IN_MEMORY = (
    "SET SESSION max_heap_table_size = 16384",
    "CREATE TEMPORARY TABLE full_table (content VARCHAR(200)) ENGINE = MEMORY",
    f"INSERT INTO full_table VALUES {', '.join(['(1)'] * 5000)}",
)
"""As much as MySQL keeps in memory, which is refused with the number of a full disk."""


@pytest.fixture
def probe(pooling: PoolingState) -> WriteProbe:
    return WriteProbe(pooling.console, pooling.lanes)


@contextmanager
def no_room(work: UnitOfWork) -> Iterator[None]:
    """Let the database of a unit of work not grow, on the connection that is lent next."""

    def limit(pages: str) -> None:
        with work.engine.connect() as connection:
            dbapi_connection = connection.connection.dbapi_connection
            dbapi_connection.execute(f"PRAGMA max_page_count = {pages}")  # type: ignore[union-attr]

    with work.engine.connect() as connection:
        # Pages that are free already would be used.
        connection.connection.dbapi_connection.execute("VACUUM")  # type: ignore[union-attr]
    limit("1")
    try:
        yield
    finally:
        limit("1000000000")


def meet_a_full_disk(work: UnitOfWork) -> None:
    """Let a statement fail as it does on a full disk."""
    fill = fill_sqlite if work.engine.dialect.name == "sqlite" else fill_a_table_in_memory
    with pytest.raises(DBAPIError):
        fill(work)


def fill_sqlite(work: UnitOfWork) -> None:
    rows = [{"digest": bytes(30) + number.to_bytes(2), "body": b"x", "used_at": LONG_AGO} for number in range(2000)]
    with no_room(work), work.transaction() as connection:
        connection.execute(insert(IdempotencyKey), rows)


def fill_a_table_in_memory(work: UnitOfWork) -> None:
    with work.engine.connect() as connection:
        for statement in FILL_A_TABLE_IN_MEMORY:
            connection.exec_driver_sql(statement)


def test_what_was_met_once_is_looked_at_again(probe: WriteProbe, work: UnitOfWork, pooling: PoolingState) -> None:
    assert probe.check() is None
    meet_a_full_disk(work)
    assert probe._has_failed
    assert probe.check() is None
    assert not probe._has_failed


def test_nothing_is_left_behind(probe: WriteProbe, work: UnitOfWork) -> None:
    meet_a_full_disk(work)
    probe.check()
    with work.read() as connection:
        assert connection.scalar(select(func.count()).select_from(IdempotencyKey)) == 0


def test_not_ready_until_there_is_room(
    client: FlaskClient, work: UnitOfWork, pooling: PoolingState, clock: SettableClock
) -> None:
    if work.engine.dialect.name != "sqlite":
        pytest.skip("a server's disk is not filled by a test")
    clock.advance(INTERVAL)
    assert client.get("/readyz").status_code == 200
    meet_a_full_disk(work)
    with no_room(pooling.console):
        refused = client.get("/readyz")
        assert (refused.status_code, refused.get_json()["reason"]) == (503, CANNOT_STORE)
    clock.advance(INTERVAL)
    assert client.get("/readyz").status_code == 200
