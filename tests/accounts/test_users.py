from __future__ import annotations

import pytest

from tests.support.accounts import PASSWORD_HASH
from tests.support.narrowing import not_none
from webapp.accounts import users
from webapp.accounts.roles import Permission, Role
from webapp.errors import InvalidInputError, NameTakenError, NotFoundError
from webapp.pooling.work import Work


def add(work: Work, name: str, role: Role = Role.AUTHOR) -> int:
    return work.transact(lambda connection: users.add(connection, name, PASSWORD_HASH, role))


def test_a_user_is_found_by_name_in_any_case(work: Work) -> None:
    add(work, "Ada")
    with work.read() as connection:
        assert not_none(users.credentials_of(connection, "ADA")).user.name == "ada"


def test_a_name_that_is_taken_is_refused(work: Work) -> None:
    add(work, "ada")
    with pytest.raises(NameTakenError):
        add(work, "ADA")


@pytest.mark.parametrize("name", ["", "a", "with blank", "-dash", "x" * 65, "<b>"])
def test_a_name_that_is_not_plain_is_refused(work: Work, name: str) -> None:
    with pytest.raises(InvalidInputError):
        add(work, name)


def test_the_stamp_changes_with_the_password(work: Work) -> None:
    identity = add(work, "ada")
    with work.read() as connection:
        before = not_none(users.find(connection, identity)).stamp
    work.transact(lambda connection: users.change_password(connection, "ada", "another hash"))
    with work.read() as connection:
        assert not_none(users.find(connection, identity)).stamp != before


def test_nobody_changes_or_removes_who_is_not_there(work: Work) -> None:
    for deed in (
        lambda connection: users.change_password(connection, "ada", "-"),
        lambda connection: users.remove(connection, "ada"),
    ):
        with pytest.raises(NotFoundError):
            work.transact(deed)


def test_an_installation_knows_whether_it_has_anybody(work: Work) -> None:
    with work.read() as connection:
        assert users.nobody_yet(connection)
    add(work, "ada")
    with work.read() as connection:
        assert not users.nobody_yet(connection)


def test_an_author_edits_and_does_not_operate(work: Work) -> None:
    identity = add(work, "ada")
    with work.read() as connection:
        ada = not_none(users.find(connection, identity))
    assert ada.may(Permission.EDIT_BANK)
    assert not ada.may(Permission.OPERATE)
