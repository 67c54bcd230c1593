"""psycopg 3's connection as the pool needs it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import psycopg

from poolproof.drivers.postgresql.reply_timeouts import reply_timeouts
from poolproof.drivers.postgresql.tracked_session import NO_TRANSACTION, TrackedCursor, TrackedSession

DriverError = psycopg.Error


class PsycopgConnection(TrackedSession, psycopg.Connection[Any]):
    """A connection that sees each wait for the server: all of them go through `wait`."""

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """Wait for the server, for `reply_timeout` seconds at most."""
        self.begin_wait()
        try:
            return super().wait(gen, *args, **kwargs)
        except BaseException as error:
            self.explain(error)
            raise
        finally:
            self.end_wait()

    def cursor(self, name: str = "", *args: Any, withhold: bool = False, **kwargs: Any) -> Any:
        """Return a cursor; a named one outside of a transaction is held, for otherwise the server refuses it."""
        is_alone = bool(name) and self.autocommit and self.transaction_status() == NO_TRANSACTION
        held = {"withhold": withhold or is_alone} if name else {}
        return super().cursor(name, *args, **held, **kwargs)

    def commit(self) -> None:
        """Commit, if a transaction is open."""
        if self.closed or self.transaction_status() != NO_TRANSACTION:
            self.statement_count += 1
            super().commit()

    def rollback(self) -> None:
        """Roll back, if a transaction is open."""
        if self.closed or self.transaction_status() != NO_TRANSACTION:
            self.statement_count += 1
            super().rollback()

    def _begin_options(self) -> list[str]:
        # psycopg adds them to the BEGIN that it sends itself, which it does not in autocommit mode.
        options = {True: ["READ ONLY"], False: ["READ WRITE"], None: []}[self.read_only]
        return [*options, *(["DEFERRABLE"] if self.deferrable else [])]

    def _wants_read_only(self) -> bool:
        return bool(self.read_only)


def connect(*args: Any, cursor_factory: Any = psycopg.Cursor, **kwargs: Any) -> PsycopgConnection:
    """Connect as `psycopg.connect` does."""
    connection: PsycopgConnection = PsycopgConnection.connect(*args, cursor_factory=_tracked(cursor_factory), **kwargs)
    connection.server_cursor_factory = _tracked(connection.server_cursor_factory)
    reply_timeouts.add(connection)
    return connection


def forgo_prepared_statements(connection: PsycopgConnection) -> None:
    """Never prepare a statement on the server: behind a pooler the next statement may meet another session."""
    connection.prepare_threshold = None


@lru_cache(maxsize=8)
def _tracked(factory: type) -> Any:
    return type(f"Tracked{factory.__name__}", (TrackedCursor, factory), {})
