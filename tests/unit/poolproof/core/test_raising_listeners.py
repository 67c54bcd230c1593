"""A listener that raises while a connection is returned or closed: its former holder cannot use it, none stays open."""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Iterator

import pytest
from sqlalchemy import event
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeoutError

from poolproof.core.queue_pool import FairQueuePool


class ListenerError(Exception):
    """What a listener raises."""


@pytest.fixture
def pool() -> Iterator[FairQueuePool]:
    pool = FairQueuePool(lambda: sqlite3.connect(":memory:", check_same_thread=False), pool_size=1, timeout=0.2)

    def refuse(*arguments: object) -> None:
        raise ListenerError

    event.listen(pool, "checkin", refuse, once=True)
    yield pool
    assert (pool.checkedout(), pool.checkedin()) == (0, 1)
    pool.dispose()


def test_who_closes_again_what_was_invalidated_does_not_give_back_the_next_ones_connection(
    pool: FairQueuePool,
) -> None:
    first = pool.connect()
    with pytest.raises(ListenerError):
        first.invalidate()
    second = pool.connect()
    # As the end of a with block does.
    first.close()
    with pytest.raises(SQLAlchemyTimeoutError):
        pool.connect()
    assert second.cursor().execute("SELECT 1").fetchone() == (1,)
    second.close()


def test_who_could_not_close_can_no_longer_use_the_connection(pool: FairQueuePool) -> None:
    first = pool.connect()
    with pytest.raises(ListenerError):
        first.close()
    second = pool.connect()
    assert not first.is_valid, "two could use the same connection"
    second.close()


def test_the_end_of_a_former_holder_gives_nothing_back_a_second_time(pool: FairQueuePool) -> None:
    first = pool.connect()
    with pytest.raises(ListenerError):
        first.close()
    second = pool.connect()
    del first
    gc.collect()
    with pytest.raises(SQLAlchemyTimeoutError):
        pool.connect()
    second.close()


def test_a_close_listener_that_raises_leaves_no_connection_open() -> None:
    closed: list[int] = []

    class Closing(sqlite3.Connection):
        def close(self) -> None:
            closed.append(1)
            super().close()

    pool = FairQueuePool(lambda: sqlite3.connect(":memory:", check_same_thread=False, factory=Closing))

    def refuse(*arguments: object) -> None:
        raise RuntimeError("a listener")

    pool.connect().close()
    event.listen(pool, "close", refuse)
    pool.dispose()
    event.remove(pool, "close", refuse)
    assert closed == [1]
