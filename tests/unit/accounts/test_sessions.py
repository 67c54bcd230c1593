from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.accounts import PASSWORD_HASH
from webapp.accounts import sessions, users
from webapp.accounts.models import UserSession
from webapp.accounts.roles import Role
from webapp.db.timestamps import database_now
from webapp.errors import NotFoundError


@pytest.fixture
def ada(work: UnitOfWork) -> int:
    return work.run_in_transaction(lambda connection: users.add(connection, "ada", PASSWORD_HASH, Role.AUTHOR))


@pytest.fixture
def session_id(work: UnitOfWork, ada: int) -> uuid.UUID:
    return work.run_in_transaction(lambda connection: sessions.start(connection, ada))


def is_open(work: UnitOfWork, session_id: uuid.UUID) -> bool:
    with work.read() as connection:
        return sessions.find_user(connection, session_id) is not None


def age(work: UnitOfWork, session_id: uuid.UUID, by: timedelta) -> None:
    with work.transaction() as connection:
        began_at = database_now(connection) - by
        connection.execute(update(UserSession).where(UserSession.id == session_id).values(created_at=began_at))


def test_a_session_knows_its_user_until_it_is_ended(work: UnitOfWork, session_id: uuid.UUID) -> None:
    with work.read() as connection:
        user = sessions.find_user(connection, session_id)
    assert user is not None
    assert (user.name, user.last_sign_in_at is not None) == ("ada", True)
    for _ in range(2):
        work.run_in_transaction(lambda connection: sessions.end(connection, session_id))
    assert not is_open(work, session_id)


def test_a_session_ends_by_itself_and_is_forgotten_at_the_next(
    work: UnitOfWork, ada: int, session_id: uuid.UUID
) -> None:
    age(work, session_id, sessions.SESSION_TTL - timedelta(minutes=1))
    assert is_open(work, session_id)
    age(work, session_id, sessions.SESSION_TTL + timedelta(minutes=1))
    assert not is_open(work, session_id)
    newer = work.run_in_transaction(lambda connection: sessions.start(connection, ada))
    with work.read() as connection:
        assert connection.execute(select(UserSession.id)).scalars().all() == [newer]


def test_all_sessions_of_one_user_end_at_once_and_those_of_others_do_not(
    work: UnitOfWork, ada: int, session_id: uuid.UUID
) -> None:
    grace = work.run_in_transaction(lambda connection: users.add(connection, "grace", PASSWORD_HASH, Role.AUTHOR))
    others = work.run_in_transaction(lambda connection: sessions.start(connection, grace))
    second = work.run_in_transaction(lambda connection: sessions.start(connection, ada))
    with work.read() as connection:
        before = users.find(connection, ada)
    assert work.run_in_transaction(lambda connection: sessions.end_all(connection, "Ada")) == 2
    assert [is_open(work, each) for each in (session_id, second, others)] == [False, False, True]
    with work.read() as connection:
        after = users.find(connection, ada)
    assert before is not None
    assert after is not None
    assert before.security_stamp != after.security_stamp, "REST tokens are void too"
    with pytest.raises(NotFoundError):
        work.run_in_transaction(lambda connection: sessions.end_all(connection, "nobody"))


@pytest.mark.parametrize("change", ["password", "disable", "remove"])
def test_a_session_ends_with_what_it_stands_on(work: UnitOfWork, session_id: uuid.UUID, change: str) -> None:
    with work.transaction() as connection:
        if change == "password":
            users.change_password(connection, "ada", "another hash")
        else:
            getattr(users, change)(connection, "ada")
    assert not is_open(work, session_id)


def test_a_disabled_user_is_unknown_until_enabled(work: UnitOfWork, ada: int) -> None:
    work.run_in_transaction(lambda connection: users.disable(connection, "ada"))
    with work.read() as connection:
        assert users.find(connection, ada) is None
        credentials = users.find_credentials(connection, "ada")
    assert credentials is not None
    assert credentials.user.disabled_at is not None
    work.run_in_transaction(lambda connection: users.enable(connection, "ada"))
    with work.read() as connection:
        assert users.find(connection, ada) is not None
