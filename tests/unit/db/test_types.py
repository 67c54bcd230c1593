from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import StatementError

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.accounts.models import User
from webapp.db.types import UuidBytes

MOMENT = datetime(2026, 11, 20, 22, 30, 15, 123000, UTC)


def stored(work: UnitOfWork, moment: datetime) -> datetime:
    with work.transaction() as connection:
        connection.execute(insert(User).values(name="ada", password_hash="-", role="author", created_at=moment))
    with work.read() as connection:
        return connection.execute(select(User.created_at)).scalar_one()


def test_a_moment_comes_back_in_utc_whatever_zone_it_was_given_in(work: UnitOfWork) -> None:
    moment = stored(work, MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30))))
    assert (moment, moment.tzinfo) == (MOMENT, UTC)


def test_a_moment_without_a_zone_is_refused(work: UnitOfWork) -> None:
    with pytest.raises(StatementError, match="has no time zone"):
        stored(work, MOMENT.replace(tzinfo=None))


def test_a_uuid_is_sixteen_bytes_and_comes_back(work: UnitOfWork) -> None:
    key, dialect = uuid.uuid4(), work.engine.dialect
    value = UuidBytes().process_bind_param(key, dialect)
    assert value == key.bytes
    assert UuidBytes().process_result_value(value, dialect) == key
