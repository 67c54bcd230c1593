"""Watches and kills the connections to a schema on the server, from a connection that does not count."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress

from sqlalchemy import Connection, bindparam, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

SETTLE_TIMEOUT, POLL_INTERVAL = 2.0, 0.05
"""Seconds."""
OTHERS = "FROM information_schema.processlist WHERE db = :schema AND id <> CONNECTION_ID()"
IDS_QUERY = text(f"SELECT id {OTHERS} ORDER BY id")
COUNT_QUERY = text(f"SELECT COUNT(*) {OTHERS}")
STATEMENT_COUNT_QUERY = text("SHOW GLOBAL STATUS LIKE 'Questions'")


class ConnectionMonitor:
    """Counts the connections to one schema, and ends them as an administrator or a restart would."""

    def __init__(
        self, database_url: str, connect: Callable[[], AbstractContextManager[Connection]] | None = None
    ) -> None:
        """Watch the schema of this URL with `connect`; by default with own connections outside of the schema."""
        url = make_url(database_url)
        self._schema = url.database
        outside = url.set(database="")
        self._engine = create_engine(outside, isolation_level="AUTOCOMMIT", pool_size=1, max_overflow=1)
        self._connect = connect or self._engine.connect

    def close(self) -> None:
        """Close the monitor's own connections."""
        self._engine.dispose()

    def connection_ids(self) -> list[int]:
        """Return the server's ids of the connections to the schema."""
        with self._connect() as connection:
            return [int(number) for number in connection.execute(IDS_QUERY, {"schema": self._schema}).scalars()]

    def connection_count(self) -> int:
        """Return how many connections to the schema there are."""
        with self._connect() as connection:
            return int(connection.execute(COUNT_QUERY, {"schema": self._schema}).scalar_one())

    def statement_count(self) -> int:
        """Return how many statements the whole server has executed since it started."""
        with self._connect() as connection:
            return int(connection.execute(STATEMENT_COUNT_QUERY).one()[1])

    def wait_until_settled(self) -> int:
        """Return how many connections there are, once the server has removed those that were closed."""
        deadline = time.monotonic() + SETTLE_TIMEOUT
        before = -1
        while (now := self.connection_count()) != before and time.monotonic() < deadline:
            before = now
            time.sleep(POLL_INTERVAL * 2)
        return now

    def kill(self, ids: Sequence[int]) -> None:
        """End these connections on the server; those that have ended already do not matter."""
        with self._connect() as connection:
            for number in ids:
                with suppress(DBAPIError):
                    connection.execute(text("KILL :id").bindparams(bindparam("id", number)))

    def kill_all(self) -> None:
        """End all connections to the schema."""
        self.kill(self.connection_ids())

    @contextmanager
    def sample_counts(
        self, *, interval: float = POLL_INTERVAL, started_at: float | None = None
    ) -> Iterator[list[tuple[float, int]]]:
        """Count while the block runs; yields a list that a thread fills with (seconds, connections).

        The seconds run from the beginning of the block, or from another moment of the monotonic clock. While the server
        does not answer there are no samples.
        """
        samples: list[tuple[float, int]] = []
        done, origin = threading.Event(), time.monotonic() if started_at is None else started_at

        def sample() -> None:
            while not done.wait(interval):
                with suppress(SQLAlchemyError):
                    count = self.connection_count()
                    samples.append((time.monotonic() - origin, count))

        thread = threading.Thread(target=sample)
        thread.start()
        try:
            yield samples
        finally:
            done.set()
            thread.join()
