"""The server's end of an engine's connections: their ids, and how an account ends its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from sqlalchemy import Connection, Engine, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

ID_QUERIES = {
    "mysql": "SELECT CONNECTION_ID()",
    "mariadb": "SELECT CONNECTION_ID()",
    "postgresql": "SELECT pg_backend_pid()",
}
END_STATEMENTS = {"mysql": "KILL :id", "mariadb": "KILL :id", "postgresql": "SELECT pg_terminate_backend(:id)"}


class Backends:
    """Ends connections of an engine on the server, from a connection that is not of its pool."""

    def __init__(self, url: str) -> None:
        """Connect when it is needed."""
        self._engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")

    @property
    def is_known(self) -> bool:
        """Whether connections of this kind of server can be ended."""
        return self._engine.dialect.name in END_STATEMENTS

    def end(self, ids: Sequence[int]) -> int:
        """End connections, and return how many; those that have ended already do not matter."""
        ended = 0
        with self._engine.connect() as connection:
            for number in ids:
                with suppress(DBAPIError):
                    connection.execute(text(END_STATEMENTS[self._engine.dialect.name]), {"id": number})
                    ended += 1
        return ended


def read_id(connection: Connection) -> int:
    """Return the server's id of a connection."""
    return int(connection.execute(text(ID_QUERIES[connection.dialect.name])).scalar_one())


@contextmanager
def hold_all(engine: Engine, size: int) -> Iterator[list[int]]:
    """Check out so many connections at once, and yield the server's ids of them."""
    with ExitStack() as held:
        connections = [held.enter_context(engine.connect()) for _ in range(size)]
        yield [read_id(connection) for connection in connections]
