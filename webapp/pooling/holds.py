"""Who holds a connection: the net under requests that end without giving one back.

Units of work give connections back themselves. What they cannot cover (a stream that is
abandoned, a session opened by another extension whose teardown never ran) is found here:
every checkout made while a request runs is remembered with that request, weakly.
"""

from __future__ import annotations

import logging
import weakref
from contextvars import ContextVar

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

log = logging.getLogger(__name__)


class RequestHolds:
    """The connections that one request has taken and not yet given back."""

    def __init__(self) -> None:
        """Begin with none."""
        self._taken: weakref.WeakSet[PoolProxiedConnection] = weakref.WeakSet()

    def add(self, connection: PoolProxiedConnection) -> None:
        """Remember a checkout."""
        self._taken.add(connection)

    def give_back(self) -> int:
        """Return what is still out to its pool and say how many connections that were."""
        left = [connection for connection in self._taken if connection.is_valid]
        for connection in left:
            # Its pool rolls back whatever was under way.
            connection.close()
        if left:
            log.warning(
                "%d connection(s) were still out when the request ended and were taken back. "
                "Use read() or transaction() as a with block, and do not stream from inside one.",
                len(left),
            )
        return len(left)


current_request: ContextVar[RequestHolds | None] = ContextVar("poolproof_request_holds", default=None)


def watch(engine: Engine) -> None:
    """Remember every checkout of `engine` with the request it is made for."""

    @event.listens_for(engine, "checkout")
    def remember(
        dbapi_connection: DBAPIConnection, record: ConnectionPoolEntry, connection: PoolProxiedConnection
    ) -> None:
        if (request_holds := current_request.get()) is not None:
            request_holds.add(connection)
