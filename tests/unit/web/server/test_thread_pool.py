from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from webapp.web.server.thread_pool import RequestThreadPool


@pytest.fixture
def pool() -> Iterator[RequestThreadPool]:
    pool = RequestThreadPool(2)
    yield pool
    pool.shutdown(wait=True)


def test_there_are_never_more_threads_than_allowed(pool: RequestThreadPool) -> None:
    names: set[str] = set()
    for _ in range(50):
        pool.submit(lambda: names.add(threading.current_thread().name))
    pool.shutdown(wait=True)
    assert names <= {"request-0", "request-1"}


def test_tasks_that_wait_while_all_threads_are_busy_are_counted(pool: RequestThreadPool) -> None:
    end, started = threading.Event(), threading.Barrier(3)

    def occupy() -> None:
        started.wait(10)
        end.wait(10)

    for _ in range(2):
        pool.submit(occupy)
    started.wait(10)
    pool.submit(lambda: None)
    assert pool.queued() == 1
    assert pool.stuck_for() >= 0.0
    end.set()


def test_a_task_that_fails_ends_no_thread(pool: RequestThreadPool, caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []
    for number in range(4):
        pool.submit(lambda number: done.append(1 // number), number)
    with caplog.at_level(logging.ERROR):
        pool.shutdown(wait=True)
    assert len(done) == 3
    assert "ZeroDivisionError" in caplog.text
