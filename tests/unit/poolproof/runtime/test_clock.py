"""The clock of idle times goes on while a machine sleeps, and is the one that connections are judged by."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from sqlalchemy import create_engine, make_url, text

from poolproof.engine import configure_engine, engine_options
from poolproof.runtime import clock
from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.clock import SettableClock


def test_it_never_steps_back_and_counts_seconds() -> None:
    first, started_at = clock.since_boot(), time.monotonic()
    time.sleep(0.05)
    passed, expected = clock.since_boot() - first, time.monotonic() - started_at
    assert expected / 2 < passed < expected * 2


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="only Linux has one")
def test_it_is_ahead_of_the_monotonic_clock_by_the_time_slept() -> None:
    boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert boot <= clock.since_boot() <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_where_there_is_none_the_monotonic_clock_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_BOOT_CLOCK", None)
    before = time.monotonic()
    assert before <= clock.since_boot() <= time.monotonic()


def test_a_connection_that_was_cut_while_the_machine_slept_is_not_lent(
    server_flavour: str, new_schema: Callable[[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, url = PoolSettings(size=1), make_url(new_schema(server_flavour, "asleep"))
    engine = create_engine(url, **engine_options(settings, url, threads=1))
    configure_engine(engine, settings)
    with UnitOfWork(engine).transaction() as connection:
        number = connection.execute(text("SELECT CONNECTION_ID()")).scalar_one()
    with create_engine(url).connect() as other:
        other.execute(text("KILL :number"), {"number": number})
        other.connection.invalidate()
    # A day passes for the machine, and no time at all for the process.
    boot = SettableClock(clock.since_boot)
    monkeypatch.setattr(clock, "since_boot", boot)
    boot.advance(24 * 3600.0)
    with UnitOfWork(engine).transaction() as connection:
        assert connection.execute(text("SELECT CONNECTION_ID()")).scalar_one() != number
    engine.dispose()
