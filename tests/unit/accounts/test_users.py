from __future__ import annotations

import pytest

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.accounts import PASSWORD_HASH
from tests.support.narrowing import not_none
from webapp.accounts import users
from webapp.accounts.roles import Permission, Role
from webapp.errors import InvalidInputError, NameTakenError, NotFoundError


def add(work: UnitOfWork, name: str, role: Role = Role.AUTHOR) -> int:
    return work.run_in_transaction(lambda connection: users.add(connection, name, PASSWORD_HASH, role))


def test_a_user_is_found_by_name_in_any_case(work: UnitOfWork) -> None:
    add(work, "Ada")
    with work.read() as connection:
        assert not_none(users.find_credentials(connection, "ADA")).user.name == "ada"


def test_a_name_that_is_taken_is_refused(work: UnitOfWork) -> None:
    add(work, "ada")
    with pytest.raises(NameTakenError):
        add(work, "ADA")


@pytest.mark.parametrize("name", ["", "a", "with blank", "-dash", "x" * 65, "<b>"])
def test_a_name_that_is_not_plain_is_refused(work: UnitOfWork, name: str) -> None:
    with pytest.raises(InvalidInputError):
        add(work, name)


def test_the_stamp_changes_with_the_password(work: UnitOfWork) -> None:
    user_id = add(work, "ada")
    with work.read() as connection:
        before = not_none(users.find(connection, user_id)).security_stamp
    work.run_in_transaction(lambda connection: users.change_password(connection, "ada", "another hash"))
    with work.read() as connection:
        assert not_none(users.find(connection, user_id)).security_stamp != before


def test_nobody_changes_or_removes_who_is_not_there(work: UnitOfWork) -> None:
    for change in (
        lambda connection: users.change_password(connection, "ada", "-"),
        lambda connection: users.remove(connection, "ada"),
    ):
        with pytest.raises(NotFoundError):
            work.run_in_transaction(change)


def test_an_installation_knows_whether_it_has_anybody(work: UnitOfWork) -> None:
    with work.read() as connection:
        assert users.has_no_users(connection)
    add(work, "ada")
    with work.read() as connection:
        assert not users.has_no_users(connection)


def test_an_author_edits_and_does_not_operate(work: UnitOfWork) -> None:
    user_id = add(work, "ada")
    with work.read() as connection:
        ada = not_none(users.find(connection, user_id))
    assert ada.has_permission(Permission.EDIT_BANK)
    assert not ada.has_permission(Permission.OPERATE)
