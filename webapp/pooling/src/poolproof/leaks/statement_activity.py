"""What a connection of any driver is doing: how many statements it has sent, and since when one runs.

The connections that `drivers` makes know it themselves. For all others the engine's events tell, which see what goes
through SQLAlchemy, and not what an application executes on the driver's own cursor.
"""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.pool import ConnectionPoolEntry

ACTIVITY = "poolproof_activity"
"""Key in `record.info`: the `StatementActivity` of a connection that does not know itself what it is doing."""


class StatementActivity:
    """Counts one connection's statements; the attributes are those of `drivers.mysql.connection.TrackedConnection`."""

    __slots__ = ("last_reply_at", "query_started_at", "statement_count")

    def __init__(self) -> None:
        """Begin with none."""
        self.statement_count = 0
        self.query_started_at: float | None = None
        """When the running statement was sent, on the monotonic clock; None while none runs."""
        self.last_reply_at = 0.0

    def start(self) -> None:
        """Record that a statement is sent."""
        self.statement_count += 1
        self.query_started_at = time.monotonic()

    def finish(self) -> None:
        """Record that the reply has come, or that none will."""
        self.query_started_at = None
        self.last_reply_at = time.monotonic()


def track_statements(engine: Engine) -> None:
    """Give every new connection of `engine` a `StatementActivity`."""
    event.listen(engine, "connect", _add_activity)
    event.listen(engine, "before_cursor_execute", _begin)
    event.listen(engine, "after_cursor_execute", _end)
    event.listen(engine, "handle_error", _end_with_error)


def _add_activity(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info[ACTIVITY] = StatementActivity()


def _begin(connection: Any, *rest: Any) -> None:
    if (activity := connection.info.get(ACTIVITY)) is not None:
        activity.start()


def _end(connection: Any, *rest: Any) -> None:
    if (activity := connection.info.get(ACTIVITY)) is not None:
        activity.finish()


def _end_with_error(context: ExceptionContext) -> None:
    connection = context.connection
    # An invalidated one would be opened anew by a look at its info.
    if connection is None or connection.closed or connection.invalidated:
        return
    activity = connection.info.get(ACTIVITY)
    if activity is not None and activity.query_started_at is not None:
        activity.finish()
