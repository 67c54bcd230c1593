from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import StatementError

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.accounts.models import User
from webapp.db.timestamps import utc_now

MOMENT = datetime(2026, 11, 20, 22, 30, 15, 123000, UTC)


def stored(work: UnitOfWork, moment: object) -> datetime:
    with work.transaction() as connection:
        connection.execute(insert(User).values(name="ada", password_hash="-", role="author", created_at=moment))
    with work.read() as connection:
        return connection.execute(select(User.created_at)).scalar_one()


def test_a_moment_comes_back_in_utc_whatever_zone_it_was_given_in(work: UnitOfWork) -> None:
    assert stored(work, MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30)))) == MOMENT
    with work.read() as connection:
        assert connection.execute(select(User.created_at)).scalar_one().tzinfo is UTC


def test_a_moment_without_a_zone_is_refused(work: UnitOfWork) -> None:
    with pytest.raises(StatementError, match="has no time zone"):
        stored(work, MOMENT.replace(tzinfo=None))


def test_the_databases_time_is_never_later_than_the_databases_time(work: UnitOfWork) -> None:
    stored(work, utc_now())
    with work.read() as connection:
        assert connection.execute(select(User.name).where(User.created_at <= utc_now())).scalar_one() == "ada"
