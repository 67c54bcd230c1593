"""No wait for a server is without an end."""

from __future__ import annotations

import math
import time

import pytest
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError

from poolproof.drivers import errors
from poolproof.drivers.errors import TransientCause
from poolproof.drivers.postgresql.reply_timeouts import MAX_PAUSE, ReplyTimeouts
from tests.support.clock import SettableClock
from tests.support.postgresql import engine_on
from tests.support.waiting import wait_until
from webapp.lab.services.postgresql_server import PostgresqlServer


class Waiting:
    """Stands for a connection."""

    def __init__(self, due_at: float | None = None) -> None:
        self.reply_due_at = due_at
        self.is_broken = False

    def break_off(self) -> None:
        self.reply_due_at = None
        self.is_broken = True


def test_only_what_is_overdue_is_broken_and_the_next_look_is_when_the_next_is_due(clock: SettableClock) -> None:
    timeouts, now = ReplyTimeouts(), time.monotonic()
    idle, overdue, waits = Waiting(), Waiting(now - 1), Waiting(now + 7)
    for each in (idle, overdue, waits):
        timeouts.add(each)
    assert 6 < timeouts.look() < 8
    assert [each.is_broken for each in (idle, overdue, waits)] == [False, True, False]
    waits.reply_due_at = None
    assert timeouts.look() == MAX_PAUSE


def test_a_wait_that_is_shorter_than_the_present_pause_ends_it() -> None:
    timeouts = ReplyTimeouts()
    short, long = Waiting(), Waiting()
    timeouts.add(short)
    timeouts.add(long)
    timeouts.await_reply(long, 3600)
    timeouts.await_reply(short, 0.02)
    wait_until(lambda: short.is_broken)
    assert not long.is_broken
    timeouts.stop()


def test_a_connection_that_is_gone_is_forgotten_and_a_child_of_fork_begins_anew() -> None:
    timeouts = ReplyTimeouts()
    gone, kept = Waiting(), Waiting(time.monotonic() - 1)
    timeouts.add(gone)
    timeouts.add(kept)
    del gone
    assert len(timeouts._connections) == 1
    timeouts.reset_after_fork()
    assert timeouts.look() == MAX_PAUSE
    assert not kept.is_broken
    assert timeouts._next_look_at < math.inf


def test_a_frozen_server_costs_the_read_timeout_and_its_connection(
    postgresql_url: URL, postgresql: PostgresqlServer
) -> None:
    with engine_on(postgresql_url, size=1, read_timeout=0.6, statement_timeout=0.5) as engine:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
            postgresql.pause()
            started_at = time.monotonic()
            try:
                with pytest.raises(DBAPIError) as refusal:
                    connection.execute(text("SELECT 1"))
            finally:
                postgresql.resume()
            assert 0.5 < time.monotonic() - started_at < 15
        assert errors.transient_cause(refusal.value) is TransientCause.UNAVAILABLE
        assert refusal.value.connection_invalidated
        with engine.connect() as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1
