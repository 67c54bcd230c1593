"""Looks at a schema's connections on the server, from a connection that is not in it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, bindparam, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

SETTLE_TIMEOUT, POLL_INTERVAL = 2.0, 0.05
"""Seconds."""
IDS_QUERY = text("SELECT id FROM information_schema.processlist WHERE db = :schema ORDER BY id")
COUNT_QUERY = text("SELECT COUNT(*) FROM information_schema.processlist WHERE db = :schema")


class ConnectionMonitor:
    """Counts the connections to one schema, and ends them as an administrator or a restart would."""

    def __init__(self, database_url: str) -> None:
        """Look at the schema that this address names."""
        url = make_url(database_url)
        self._schema = url.database
        outside = url.set(database="")
        self._engine = create_engine(outside, isolation_level="AUTOCOMMIT", pool_size=1, max_overflow=1)

    def close(self) -> None:
        """Look no more."""
        self._engine.dispose()

    def connection_ids(self) -> list[int]:
        """Return the server's numbers of the connections to the schema."""
        with self._engine.connect() as connection:
            return [int(found) for found in connection.execute(IDS_QUERY, {"schema": self._schema}).scalars()]

    def wait_until_settled(self) -> int:
        """Return how many connections there are, once those that were closed are gone from the server, too."""
        deadline = time.monotonic() + SETTLE_TIMEOUT
        before = -1
        while (now := len(self.connection_ids())) != before and time.monotonic() < deadline:
            before = now
            time.sleep(POLL_INTERVAL * 2)
        return now

    def kill(self, ids: Sequence[int]) -> None:
        """End these connections on the server; those that are gone already do not matter."""
        with self._engine.connect() as connection:
            for one in ids:
                with suppress(DBAPIError):
                    connection.execute(text("KILL :id").bindparams(bindparam("id", one)))

    def kill_all(self) -> None:
        """End all connections to the schema."""
        self.kill(self.connection_ids())

    @contextmanager
    def sample_counts(
        self, *, interval: float = POLL_INTERVAL, started_at: float | None = None
    ) -> Iterator[list[tuple[float, int]]]:
        """Count while the block runs; gives a list that fills with (seconds, connections).

        The seconds are those since the block's beginning, or since another moment of the monotonic clock.
        """
        course: list[tuple[float, int]] = []
        done, began = threading.Event(), time.monotonic() if started_at is None else started_at

        def look(connection: Connection) -> None:
            while not done.wait(interval):
                count = int(connection.execute(COUNT_QUERY, {"schema": self._schema}).scalar_one())
                course.append((time.monotonic() - began, count))

        with self._engine.connect() as connection:
            thread = threading.Thread(target=look, args=(connection,))
            thread.start()
            try:
                yield course
            finally:
                done.set()
                thread.join()
