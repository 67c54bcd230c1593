from __future__ import annotations

import uuid

import pytest
from sqlalchemy import select

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts.json_rowset import encode_rows, number_column, rowset, text_column, uuid_column

NAME = 'Ada 🦊 O\'Hara \\ "Łódź" %s :name'


@pytest.mark.parametrize("count", [0, 1, 500])
def test_rows_arrive_as_they_were_sent(work: UnitOfWork, count: int) -> None:
    columns = [uuid_column("attempt"), number_column("item"), text_column("name", 40)]
    sent = [(uuid.uuid4(), number, NAME) for number in range(count)]
    table = rowset(work.engine.dialect.name, "sent", columns)
    with work.read() as connection:
        rows = connection.execute(
            select(table).order_by(table.c.item), encode_rows([(key.hex, number, name) for key, number, name in sent])
        )
        assert [(uuid.UUID(bytes=bytes(row.attempt)), row.item, row.name) for row in rows] == sent
