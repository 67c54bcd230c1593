"""`adopt`: an engine keeps all that its application has set, and gets the fair pool."""

from __future__ import annotations

import gc
import os
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.pool import NullPool, QueuePool, StaticPool

import poolproof
from poolproof.adoption.engines import adopt, adopted_lane, adopted_lanes
from poolproof.core.queue_pool import FairQueuePool
from poolproof.errors import PoolConfigurationError, PoolTimeoutError

ONE = text("SELECT 1")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'adopted.sqlite'}"


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = create_engine(
        url, pool_size=3, max_overflow=2, pool_timeout=0.2, pool_recycle=77, pool_reset_on_return=None
    )
    yield engine
    engine.dispose()


def test_the_options_of_the_pool_stay_also_after_dispose(engine: Engine) -> None:
    assert adopt(engine) is engine
    for _ in range(2):
        pool: Any = engine.pool
        assert isinstance(pool, FairQueuePool)
        assert (pool.size(), pool.limit(), pool.timeout(), pool._recycle) == (3, 5, 0.2, 77)
        assert pool._reset_on_return is QueuePool(lambda: None, reset_on_return=None)._reset_on_return  # type: ignore[arg-type]
        engine.dispose()


def test_listeners_of_before_and_after_are_called(engine: Engine) -> None:
    calls: list[str] = []
    event.listen(engine, "connect", lambda *rest: calls.append("connect before"))
    event.listen(engine.pool, "checkout", lambda *rest: calls.append("checkout before"))
    adopt(engine)
    event.listen(engine, "do_connect", lambda *rest: calls.append("do_connect after"))
    event.listen(engine, "checkin", lambda *rest: calls.append("checkin after"))
    with engine.connect() as connection:
        connection.execute(ONE)
    assert calls == ["do_connect after", "connect before", "checkout before", "checkin after"]


def test_checkouts_are_watched_after_dispose_as_before(engine: Engine) -> None:
    registry = adopted_lane(adopt(engine)).leak_detector.checkouts
    for _ in range(2):
        with engine.connect():
            assert [checkout.registry for checkout in registry.live()] == [registry]
        assert registry.live() == []
        engine.dispose()


def calls_of_a_cycle(engine: Engine) -> int:
    """How many functions an empty cycle calls: unlike its time, that is the same on every machine."""
    engine.pool.connect().close()
    calls: list[object] = []
    sys.setprofile(lambda frame, what, function: calls.append(what) if what.endswith("call") else None)
    try:
        engine.pool.connect().close()
    finally:
        sys.setprofile(None)
    return len(calls)


def test_an_empty_cycle_calls_at_most_half_as_many_functions_more_than_one_of_the_stock_pool(url: str) -> None:
    stock, adopted = (create_engine(url, poolclass=QueuePool) for _ in range(2))
    ratio = calls_of_a_cycle(adopt(adopted)) / calls_of_a_cycle(stock)
    for engine in (stock, adopted):
        engine.dispose()
    assert ratio < 1.6, ratio


def test_connections_from_before_are_closed(engine: Engine) -> None:
    closed: list[object] = []
    event.listen(engine, "close", lambda connection, record: closed.append(connection))
    with engine.connect() as connection:
        connection.execute(ONE)
    adopt(engine)
    assert len(closed) == 1


def test_a_full_pool_names_the_holders_with_their_lines(engine: Engine) -> None:
    adopt(engine, "books")
    held = [engine.connect() for _ in range(5)]
    with pytest.raises(PoolTimeoutError, match=r"adoption/test_engines\.py:\d+ in <listcomp>") as caught:
        engine.connect()
    assert caught.match("limit of 5 connections reached")
    for connection in held:
        connection.close()


def test_adopting_twice_changes_nothing(engine: Engine) -> None:
    pool = adopt(engine, "books").pool
    assert adopt(engine, "others").pool is pool
    assert adopted_lane(engine).name == "books"


def test_engines_without_a_name_are_told_apart(engine: Engine, url: str) -> None:
    other = create_engine(url)
    names = [adopted_lane(adopt(one)).name for one in (engine, other)]
    assert len(set(names)) == 2
    assert all(name.startswith("adopted.sqlite") for name in names)
    other.dispose()


@pytest.mark.parametrize("pool_class", [NullPool, StaticPool])
def test_a_pool_of_another_class_stays_and_its_checkouts_are_watched(url: str, pool_class: type) -> None:
    engine = adopt(create_engine(url, poolclass=pool_class))
    with engine.connect():
        assert type(engine.pool) is pool_class
        assert len(adopted_lane(engine).leak_detector.checkouts.live()) == 1
    engine.dispose()


def test_a_pool_class_of_the_application_itself_stays(url: str) -> None:
    class Own(QueuePool):
        pass

    engine = adopt(create_engine(url, poolclass=Own))
    assert type(engine.pool) is Own
    engine.dispose()


def test_an_asynchronous_engine_is_refused_with_one_sentence_that_says_what_to_do(url: str) -> None:
    class AsyncEngine:
        sync_engine: Any = None

    asynchronous: Any = AsyncEngine()
    with pytest.raises(PoolConfigurationError, match=r"create_engine\(\) with a synchronous driver") as caught:
        adopt(asynchronous)
    assert str(caught.value).count(".") == 1


def test_something_else_is_refused(url: str) -> None:
    other: Any = url
    with pytest.raises(PoolConfigurationError, match="takes an engine"):
        adopt(other)


def test_an_adopted_engine_is_collected_with_its_application(url: str) -> None:
    engine = adopt(create_engine(url), "short-lived")
    reference = weakref.ref(engine)
    engine.dispose()
    del engine
    gc.collect()
    assert reference() is None
    assert "short-lived" not in {lane.name for lane in adopted_lanes()}


def test_a_child_of_fork_drops_the_connections_of_its_parent(engine: Engine) -> None:
    adopt(engine)
    with engine.connect() as connection:
        connection.execute(ONE)
    assert engine.pool.checkedin() == 1  # type: ignore[attr-defined]
    pid = os.fork()
    if pid == 0:
        os._exit(engine.pool.checkedin())  # type: ignore[attr-defined]
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_the_public_names_are_there_and_no_other() -> None:
    assert all(callable(getattr(poolproof, name)) for name in poolproof.__all__)
    with pytest.raises(AttributeError, match="no attribute 'adop'"):
        _ = poolproof.adop
