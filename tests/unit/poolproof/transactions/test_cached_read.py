from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.exc import OperationalError

from poolproof.transactions.cached_read import SingleFlightCache
from tests.support.clock import SettableClock


def test_many_who_ask_at_once_cause_one_read() -> None:
    reads: list[int] = []

    def load() -> int:
        reads.append(1)
        time.sleep(0.1)
        return len(reads)

    shared = SingleFlightCache(load, ttl=60)
    with ThreadPoolExecutor(8) as callers:
        assert set(callers.map(lambda _: shared.get(), range(50))) == {1}
    assert len(reads) == 1


def test_it_is_read_again_when_its_time_is_over(clock: SettableClock) -> None:
    values = iter(range(10))
    shared = SingleFlightCache(lambda: next(values), ttl=60)
    assert [shared.get(), shared.get()] == [0, 0]
    clock.advance(60)
    assert [shared.get(), shared.get()] == [1, 1]


def test_while_one_reads_anew_the_others_go_on_with_the_old_value() -> None:
    reading, go_on = threading.Event(), threading.Event()
    go_on.set()
    values = iter(range(10))

    def load() -> int:
        reading.set()
        go_on.wait(10)
        return next(values)

    shared = SingleFlightCache(load, ttl=0.0)
    assert shared.get() == 0
    reading.clear()
    go_on.clear()
    with ThreadPoolExecutor(1) as callers:
        reader = callers.submit(shared.get)
        reading.wait(10)
        assert shared.get() == 0
        go_on.set()
        assert reader.result() == 1


def test_without_a_database_the_old_value_serves_and_the_first_read_fails() -> None:
    away = OperationalError("SELECT", {}, Exception("away"))
    answers: list[int | Exception] = [away, 7, away, away]

    def load() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    shared = SingleFlightCache(load, ttl=0.0)
    with pytest.raises(OperationalError):
        shared.get()
    assert [shared.get(), shared.get(), shared.get()] == [7, 7, 7]
    assert answers == [away], "a database that is away is asked once a second at most"


def test_what_was_forgotten_is_read_anew() -> None:
    values = iter(range(10))
    shared = SingleFlightCache(lambda: next(values), ttl=60)
    shared.get()
    shared.invalidate()
    assert shared.get() == 1


def test_a_value_that_is_dropped_while_it_is_read_is_given_to_its_reader_and_not_kept() -> None:
    shared: SingleFlightCache[int]
    values = iter(range(10))

    def load() -> int:
        value = next(values)
        if value == 0:
            # Somebody changes in this moment what was just read.
            shared.invalidate()
        return value

    shared = SingleFlightCache(load, ttl=60)
    assert shared.get() == 0
    assert shared.peek() is None
    assert [shared.get(), shared.get()] == [1, 1]


def test_a_value_that_is_dropped_all_the_time_is_still_read() -> None:
    shared = SingleFlightCache(lambda: 1, ttl=60)
    done = threading.Event()

    def invalidate_again_and_again() -> None:
        while not done.is_set():
            shared.invalidate()

    with ThreadPoolExecutor(5) as callers:
        callers.submit(invalidate_again_and_again)
        results = [callers.submit(lambda: [shared.get() for _ in range(2000)]) for _ in range(4)]
        try:
            assert all(set(result.result(60)) == {1} for result in results)
        finally:
            done.set()
