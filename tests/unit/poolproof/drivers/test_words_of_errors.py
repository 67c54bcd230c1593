"""What an error is about is never read from its words: they hold a caller's values, in the server's language."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import IntegrityError

from poolproof.engine import configure_engine, engine_options
from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork

WORDS = ["database is locked", "already closed", "connection was killed", "Packet sequence number wrong", "(0, '')"]


@pytest.fixture
def engine(database: str, new_schema: Callable[[str, str], str]) -> Iterator[Engine]:
    settings, url = PoolSettings(size=1), make_url(new_schema(database, "words"))
    engine = create_engine(url, **engine_options(settings, url, threads=1))
    configure_engine(engine, settings)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE words (word VARCHAR(100) PRIMARY KEY)"))
    yield engine
    engine.dispose()


@pytest.mark.parametrize("word", WORDS)
def test_a_value_that_sounds_like_a_fault_is_an_ordinary_duplicate(engine: Engine, word: str) -> None:
    used: list[Any] = []

    def write(connection: Connection) -> None:
        used.append(connection.connection.dbapi_connection)
        connection.execute(text("INSERT INTO words VALUES (:word)"), {"word": word})

    work = UnitOfWork(engine)
    work.run_in_transaction(write)
    with pytest.raises(IntegrityError) as duplicate:
        work.run_in_transaction(write, idempotent=True)
    assert not duplicate.value.connection_invalidated
    with work.read() as connection:
        used.append(connection.connection.dbapi_connection)
    assert len(used) == 3, "it is not tried again"
    assert len(set(map(id, used))) == 1, "and no connection is given up for it"
