from __future__ import annotations

from collections.abc import Callable

import pytest

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.waiting import wait_until
from tests.unit.attempts.results import store_results
from tests.unit.attempts.test_retention import close_ago, count, limits
from webapp.attempts import attempt_stats, retention
from webapp.attempts.retention_task import RetentionTask
from webapp.lab.factories import make_quiz


def test_small_batches_delete_all_and_wait_for_the_load_before_each(
    work: UnitOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "MAX_BATCH", 2)
    quiz = make_quiz(work)
    store_results(work, quiz, *((f"player {number}", 1, 5) for number in range(5)))
    close_ago(work, quiz, 40)
    waits: list[str] = []

    def wait(_: Callable[[], bool]) -> float:
        waits.append("waited")
        return 0.0

    task = RetentionTask(work, limits(30), lambda: wait)
    assert (task.run_once(), count(work), len(waits)) == (5, 0, 3)
    with work.read() as connection:
        deleted = attempt_stats.deleted_totals(connection, quiz.version_id)
    assert deleted is not None
    assert deleted.begun == 5


def test_a_worker_begins_when_it_is_started_and_ends_when_it_is_stopped(work: UnitOfWork) -> None:
    quiz = make_quiz(work)
    store_results(work, quiz, ("Ada", 2, 300))
    close_ago(work, quiz, 40)
    task = RetentionTask(work, limits(30), first_look=0.0)
    task.start()
    wait_until(lambda: count(work) == 0)
    task.stop()


def test_a_start_touches_no_connection(work: UnitOfWork) -> None:
    quiz = make_quiz(work)
    store_results(work, quiz, ("Ada", 2, 300))
    close_ago(work, quiz, 40)
    task = RetentionTask(work, limits(30))
    task.start()
    task.stop()
    assert count(work) == 1
