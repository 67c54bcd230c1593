"""What the two execution options do to a connection that has them."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from poolproof.errors import PoolUsageError
from poolproof.execution_options import AUTOCOMMIT, READ_ONLY
from poolproof.transactions.unit_of_work import UnitOfWork


def test_a_connection_that_only_reads_refuses_to_write(work: UnitOfWork) -> None:
    with work.engine.connect() as connection:
        connection.execution_options(**{READ_ONLY: True})
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
        with pytest.raises(PoolUsageError, match="DELETE inside of read"):
            connection.execute(text("DELETE FROM player"))


def test_a_connection_in_autocommit_has_committed_before_it_is_returned(work: UnitOfWork) -> None:
    with work.transaction() as connection:
        connection.execute(text("CREATE TABLE committed_at_once (a INT)"))
    try:
        with work.engine.connect() as connection:
            connection.execution_options(**{AUTOCOMMIT: True})
            connection.execute(text("INSERT INTO committed_at_once VALUES (1)"))
            with work.engine.connect() as other:
                assert other.execute(text("SELECT COUNT(*) FROM committed_at_once")).scalar_one() == 1
    finally:
        with work.transaction() as connection:
            connection.execute(text("DROP TABLE committed_at_once"))
