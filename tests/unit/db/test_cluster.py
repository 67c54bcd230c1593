from __future__ import annotations

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.db import cluster


def test_on_a_server_of_its_own_row_locks_are_seen_by_all(work: UnitOfWork) -> None:
    with work.read() as connection:
        assert not cluster.row_locks_are_local(connection)
