"""Limits that hold over all processes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from webapp.collector import ledger
from webapp.collector.ledger import Turn
from webapp.collector.models import CollectionCall, CollectionLedger
from webapp.collector.pacing import Spent, Wait
from webapp.collector.sources.protocol import Limits
from webapp.pooling.work import Work


@pytest.fixture
def open_ledger(work: Work) -> Work:
    work.transact(lambda connection: ledger.open_for(connection, "birds"))
    return work


def reserve(work: Work, limits: Limits) -> Turn | Wait | Spent:
    return work.transact(lambda connection: ledger.reserve(connection, "birds", limits))


def test_opening_twice_keeps_what_was_counted(open_ledger: Work) -> None:
    reserve(open_ledger, Limits())
    open_ledger.transact(lambda connection: ledger.open_for(connection, "birds"))
    with open_ledger.read() as connection:
        assert connection.scalar(select(CollectionLedger.calls)) == 1


def test_a_reservation_stays_whatever_becomes_of_its_call(open_ledger: Work) -> None:
    assert isinstance(reserve(open_ledger, Limits(daily=1)), Turn)
    assert isinstance(reserve(open_ledger, Limits(daily=1)), Spent)


def test_who_comes_too_early_is_told_how_long_to_wait(open_ledger: Work) -> None:
    limits = Limits(spacing=60.0)
    assert isinstance(reserve(open_ledger, limits), Turn)
    answer = reserve(open_ledger, limits)
    assert isinstance(answer, Wait)
    assert 30 < answer.seconds <= 66


def test_a_long_spacing_is_counted_from_the_end_of_the_call(open_ledger: Work) -> None:
    limits = Limits(spacing=60.0)
    turn = reserve(open_ledger, limits)
    assert isinstance(turn, Turn)
    with open_ledger.transaction() as connection:
        # As if the call had lasted for forty seconds.
        free_at = connection.scalar(select(CollectionLedger.free_at))
        assert free_at is not None
        connection.execute(update(CollectionLedger).values(free_at=free_at - timedelta(seconds=40)))
    open_ledger.transact(lambda connection: ledger.end(connection, "birds", turn, limits))
    answer = reserve(open_ledger, limits)
    assert isinstance(answer, Wait)
    assert answer.seconds > 40, "by the reservation alone it would be less than half a minute"


def test_a_call_whose_process_died_is_under_way_only_so_long(open_ledger: Work) -> None:
    limits = Limits(concurrency=1)
    assert isinstance(reserve(open_ledger, limits), Turn)
    assert isinstance(reserve(open_ledger, limits), Wait)
    with open_ledger.transaction() as connection:
        ends_at = connection.scalar(select(CollectionCall.ends_at))
        assert ends_at is not None
        connection.execute(update(CollectionCall).values(ends_at=ends_at - timedelta(minutes=10)))
    assert isinstance(reserve(open_ledger, limits), Turn)


def test_a_source_that_asks_to_be_left_alone_is(open_ledger: Work) -> None:
    open_ledger.transact(lambda connection: ledger.leave_alone(connection, "birds", 120.0))
    answer = reserve(open_ledger, Limits())
    assert isinstance(answer, Wait)
    assert answer.seconds > 60


def test_of_many_at_once_no_more_than_allowed_get_a_turn(open_ledger: Work) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: reserve(open_ledger, Limits(concurrency=3)), range(16)))
    assert sum(isinstance(one, Turn) for one in answers) == 3
