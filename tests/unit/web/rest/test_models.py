from __future__ import annotations

import pytest
from sqlalchemy import Connection, insert
from sqlalchemy.exc import IntegrityError

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.db.timestamps import utc_now
from webapp.web.rest.models import IdempotencyKey


def test_a_key_is_stored_once(work: UnitOfWork) -> None:
    def store(connection: Connection) -> None:
        connection.execute(insert(IdempotencyKey).values(digest=b"d" * 32, body=b"b" * 32, used_at=utc_now()))

    work.run_in_transaction(store)
    with pytest.raises(IntegrityError):
        work.run_in_transaction(store)
