from __future__ import annotations

from sqlalchemy import Table, false, literal, select, true

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.accounts import PASSWORD_HASH
from webapp.accounts.models import User
from webapp.db.timestamps import utc_now
from webapp.db.upsert import upsert_from

table: Table = User.__table__  # type: ignore[assignment]
COLUMNS = ["name", "password_hash", "role", "created_at"]


def put(work: UnitOfWork, role: str, *, replace: bool, wanted: bool = True) -> int:
    row = select(literal("ada"), literal(PASSWORD_HASH), literal(role), utc_now()).where(true() if wanted else false())
    with work.transaction() as connection:
        return upsert_from(connection, table, COLUMNS, row, key=["name"], replace=["role"] if replace else [])


def roles(work: UnitOfWork) -> list[str]:
    with work.read() as connection:
        return list(connection.execute(select(User.role)).scalars())


def test_a_new_row_is_inserted_and_an_equal_key_replaced(work: UnitOfWork) -> None:
    assert put(work, "author", replace=True) > 0
    assert put(work, "operator", replace=True) > 0
    assert roles(work) == ["operator"]


def test_without_replacement_the_first_row_stays(work: UnitOfWork) -> None:
    put(work, "author", replace=False)
    put(work, "operator", replace=False)
    assert roles(work) == ["author"]


def test_a_row_that_is_the_same_already_counts_as_written_and_no_row_as_none(work: UnitOfWork) -> None:
    put(work, "author", replace=True)
    assert put(work, "author", replace=True) > 0
    assert put(work, "author", replace=True, wanted=False) == 0
