"""What the database server counts during a push."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext

import pytest
from sqlalchemy import Engine, create_engine, text

from poolproof.lab.connection_monitor import ConnectionMonitor
from tests.support.narrowing import not_none
from webapp.lab.push.database_monitor import SAMPLE_INTERVAL, DatabaseMonitor
from webapp.lab.services.programs import Flavour


@pytest.fixture
def engine(server_flavour: Flavour, new_schema: Callable[[str, str], str]) -> Iterator[Engine]:
    engine = create_engine(new_schema(server_flavour, "poolproof_monitor"))
    yield engine
    engine.dispose()


def test_the_monitors_own_connection_is_not_counted(engine: Engine) -> None:
    url = engine.url.render_as_string(hide_password=False)
    with engine.connect() as own, closing(ConnectionMonitor(url, lambda: nullcontext(own))) as connections:
        monitor = DatabaseMonitor(connections)
        with engine.connect() as other, monitor.run():
            other.execute(text("SELECT 1"))
            time.sleep(2.5 * SAMPLE_INTERVAL)
    stats = not_none(monitor.stats())
    assert stats.connections_at_peak == 1
    assert stats.statements >= 1


def test_a_server_that_does_not_answer_leaves_nothing_to_tell() -> None:
    with closing(ConnectionMonitor("mysql+pymysql://root@127.0.0.1:1/nothing")) as connections:
        monitor = DatabaseMonitor(connections)
        with monitor.run():
            pass
    assert monitor.stats() is None
