"""A connection that lay idle is pinged before it is lent; one that is dead is replaced, unseen by its borrower."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text

from poolproof.adoption.engines import adopt
from tests.support.clock import SettableClock

CONNECTION_ID = text("SELECT CONNECTION_ID()")


@pytest.fixture
def engine(server_flavour: str, new_schema: Callable[[str, str], str], clock: SettableClock) -> Iterator[Engine]:
    engine = adopt(create_engine(new_schema(server_flavour, "checkout_ping"), pool_size=1, max_overflow=0))
    yield engine
    engine.dispose()


def connection_id(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(CONNECTION_ID).scalar_one())


def pings(engine: Engine) -> list[object]:
    asked: list[object] = []
    dialect: Any = engine.dialect
    ping = dialect.do_ping

    def record(connection: Any) -> bool:
        asked.append(connection)
        return bool(ping(connection))

    dialect.do_ping = record
    return asked


def test_one_that_was_used_a_moment_ago_is_not_pinged(engine: Engine) -> None:
    asked = pings(engine)
    assert connection_id(engine) == connection_id(engine)
    assert asked == []


def test_one_that_lay_idle_is_pinged_and_used(engine: Engine, clock: SettableClock) -> None:
    first, asked = connection_id(engine), pings(engine)
    clock.advance(1.0)
    assert connection_id(engine) == first
    assert len(asked) == 1


def test_one_that_was_killed_meanwhile_is_replaced(engine: Engine, clock: SettableClock) -> None:
    first = connection_id(engine)
    killer = create_engine(engine.url)
    with killer.connect() as connection:
        connection.execute(text(f"KILL {first}"))
    killer.dispose()
    clock.advance(1.0)
    lost: list[object] = []
    event.listen(engine, "invalidate", lambda *rest: lost.append(rest))
    assert connection_id(engine) != first
    assert len(lost) == 1
