from __future__ import annotations

from typing import Any

from sqlalchemy import func, select, update

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.console import history
from webapp.console.models import WorkerMinute
from webapp.db.timestamps import seconds_ago

MINUTE: dict[str, Any] = {
    "seconds": 60.0, "used_most": 3.0, "open_most": 5.0, "waiting_most": 2.0, "oldest_most": 0.4, "borrows": 100,
    "busy": 12.5, "waited": 1.0, "turned_away": 1, "requests": 80, "statements": 120, "batches": 40, "entries": 60,
}  # fmt: skip


def count_rows(work: UnitOfWork) -> int:
    with work.read() as connection:
        return connection.execute(select(func.count()).select_from(WorkerMinute)).scalar_one()


def test_the_workers_of_a_machine_are_summed_and_machines_stand_apart(work: UnitOfWork) -> None:
    both = [("1-a", 5.0, MINUTE), ("2-b", 5.0, MINUTE)]
    work.run_in_transaction(lambda connection: history.store_minutes(connection, "alpha", both))
    work.run_in_transaction(lambda connection: history.store_minutes(connection, "beta", [("1-a", 5.0, MINUTE)]))
    with work.read() as connection:
        by_machine = {minute.machine: minute for minute in history.load_minutes(connection, 3600)}
    assert by_machine["alpha"].workers == 2
    assert (by_machine["alpha"].open_most, by_machine["alpha"].requests, by_machine["alpha"].rejected) == (10, 160, 2)
    assert by_machine["alpha"].waiting_most == 2
    assert by_machine["beta"].open_most == 5


def test_only_the_asked_time_is_read_the_earliest_first(work: UnitOfWork) -> None:
    ago = [("1-a", seconds, MINUTE) for seconds in (30.0, 1000.0, 5000.0)]
    work.run_in_transaction(lambda connection: history.store_minutes(connection, "alpha", ago))
    with work.read() as connection:
        hour, day = history.load_minutes(connection, 3600), history.load_minutes(connection, 86_400)
    assert len(hour) == 2
    assert len(day) == 3
    assert [minute.ended_at for minute in day] == sorted(minute.ended_at for minute in day)


def test_what_is_older_than_a_day_is_dropped(work: UnitOfWork) -> None:
    work.run_in_transaction(lambda connection: history.store_minutes(connection, "alpha", [("1-a", 10.0, MINUTE)]))
    with work.transaction() as connection:
        connection.execute(update(WorkerMinute).values(ended_at=seconds_ago(25 * 3600)))
    work.run_in_transaction(lambda connection: history.store_minutes(connection, "alpha", [("1-a", 10.0, MINUTE)]))
    assert count_rows(work) == 1
