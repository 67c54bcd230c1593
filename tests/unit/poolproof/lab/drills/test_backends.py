from __future__ import annotations

import pytest
from sqlalchemy import URL, create_engine, text
from sqlalchemy.exc import DBAPIError

from poolproof.lab.drills.backends import Backends, hold_all, read_id


def test_connections_are_ended_by_their_own_account(postgresql_url: URL) -> None:
    engine = create_engine(postgresql_url)
    backends = Backends(postgresql_url.render_as_string(hide_password=False))
    assert backends.is_known
    with engine.connect() as connection:
        assert backends.end([read_id(connection)]) == 1
        with pytest.raises(DBAPIError):
            connection.execute(text("SELECT 1"))
    with hold_all(engine, 3) as ids:
        assert len(set(ids)) == 3
    engine.dispose()


def test_a_file_has_no_connections_that_could_be_ended() -> None:
    assert not Backends("sqlite://").is_known
