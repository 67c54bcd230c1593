"""What a connection of any driver is doing, told by the events of its engine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import OperationalError

from poolproof.leaks.checkout_registry import CheckoutRegistry, track_checkouts
from poolproof.leaks.statement_activity import track_statements


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path / 'activity.sqlite'}")
    track_statements(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def registry(engine: Engine) -> CheckoutRegistry:
    return track_checkouts(engine, "test")


def test_statements_of_a_checkout_are_counted_and_not_those_of_the_one_before(
    engine: Engine, registry: CheckoutRegistry
) -> None:
    for count in (2, 1):
        with engine.connect() as connection:
            for _ in range(count):
                connection.execute(text("SELECT 1"))
            (checkout,) = registry.live()
            assert checkout.statement_count == count
            assert not checkout.is_statement_running()
            assert checkout.idle_seconds(time.monotonic() + 5) >= 5


def test_a_statement_that_runs_is_known_and_one_that_failed_runs_no_more(
    engine: Engine, registry: CheckoutRegistry
) -> None:
    running: list[float | None] = []

    def look(value: int) -> int:
        running.append(registry.live()[0].running_seconds(time.monotonic()))
        return value

    event.listen(engine, "connect", lambda connection, record: connection.create_function("look", 1, look))
    with engine.connect() as connection:
        connection.execute(text("SELECT look(1)"))
        with pytest.raises(OperationalError):
            connection.execute(text("SELECT nothing FROM nowhere"))
        (checkout,) = registry.live()
        assert running[0] is not None
        assert checkout.running_seconds(time.monotonic()) is None
        assert checkout.statement_count == 2
