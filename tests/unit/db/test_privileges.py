"""An account that may do all lacks nothing; tests/integration/test_refused_at_boot.py has accounts that do."""

from __future__ import annotations

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.db.privileges import missing_privileges


def test_an_account_with_all_privileges_lacks_none(work: UnitOfWork) -> None:
    with work.read() as connection:
        assert missing_privileges(connection) == []
