from __future__ import annotations

from sqlalchemy import select

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.accounts.models import User
from webapp.db.load_data import load_data, supports_local_infile

STATEMENT = (
    "LOAD DATA LOCAL INFILE 'any' INTO TABLE user CHARACTER SET utf8mb4 FIELDS TERMINATED BY ','"
    " (name, password_hash, role, created_at)"
)
ROWS = (
    "ada,hash,author,2026-11-20 22:30:00\ngrace,hash,author,2026-11-20 22:30:00\nada,hash,author,2026-11-20 22:30:00\n"
)


def test_rows_are_loaded_and_one_whose_key_exists_is_skipped_with_a_warning(work: UnitOfWork) -> None:
    with work.transaction() as connection:
        if not supports_local_infile(connection):
            assert connection.dialect.name == "sqlite"
            return
        assert load_data(connection, STATEMENT, ROWS.encode()) == (2, 1)
    with work.read() as connection:
        assert set(connection.execute(select(User.name)).scalars()) == {"ada", "grace"}
