from __future__ import annotations

from datetime import timedelta

from sqlalchemy import insert, literal, select

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.accounts.models import User
from webapp.db.timestamps import database_now, seconds_ago, utc_now


def test_the_databases_time_is_never_later_than_the_databases_time(work: UnitOfWork) -> None:
    with work.transaction() as connection:
        connection.execute(insert(User).values(name="ada", password_hash="-", role="author", created_at=utc_now()))
    with work.read() as connection:
        assert connection.execute(select(User.name).where(User.created_at <= utc_now())).scalar_one() == "ada"


def test_seconds_ago_are_counted_by_the_database(work: UnitOfWork) -> None:
    with work.read() as connection:
        before = database_now(connection)
        minute_ago = connection.execute(select(seconds_ago(literal(60)))).scalar_one()
        after = database_now(connection)
    assert before - timedelta(seconds=61) < minute_ago <= after - timedelta(seconds=59)
