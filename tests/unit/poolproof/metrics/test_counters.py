"""Counters with labels: declared once, counted from any thread."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from poolproof.metrics import counters
from poolproof.metrics.counters import LABEL_SEPARATOR, LabelledCounter


@pytest.fixture
def counter() -> Iterator[LabelledCounter]:
    yield counters.declare("test_declared", "Declared by a test.", ("kind", "result"))
    del counters._counters["test_declared"]


def test_a_counter_that_is_declared_again_is_the_same_one(counter: LabelledCounter) -> None:
    assert counters.declare("test_declared", "Otherwise.", ()) is counter
    assert counter in counters.declared_counters()


def test_each_set_of_labels_has_a_count_of_its_own(counter: LabelledCounter) -> None:
    counter.increment("quiz", "ok")
    counter.increment("quiz", "ok", amount=4)
    counter.increment("quiz", "failed")
    assert counter.counts == {f"quiz{LABEL_SEPARATOR}ok": 5, f"quiz{LABEL_SEPARATOR}failed": 1}


def test_no_count_of_any_thread_is_lost(counter: LabelledCounter) -> None:
    with ThreadPoolExecutor(4) as threads:
        for _ in range(1000):
            threads.submit(counter.increment, "quiz", "ok")
    assert sum(counter.counts.values()) == 1000


def test_counters_are_returned_by_name() -> None:
    names = [counter.name for counter in counters.declared_counters()]
    assert names == sorted(names)


def test_a_child_of_fork_can_count_although_the_parent_was_counting(counter: LabelledCounter) -> None:
    with counter._lock:
        child = os.fork()
        if child == 0:
            # Ends it with a signal where the lock is the parent's, which nobody in the child releases.
            signal.alarm(10)
            counter.increment("quiz", "ok")
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
