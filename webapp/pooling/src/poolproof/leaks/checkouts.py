"""Who holds a connection: for whom, since when, borrowed where, doing what.

Units of work give connections back themselves. What they cannot cover (a stream that is
abandoned, a session opened by another extension whose teardown never ran) is found here:
every checkout is remembered, weakly, with the request it is made for.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, PoolResetState

from poolproof.leaks import call_site

MAX_HOLDERS_SHOWN = 5
"""How many holders an error names: those who have held longest."""
MAX_STATEMENT_LENGTH = 500
"""Characters that are remembered of a statement: one that inserts many rows has the same again for each."""
_CHECKOUT_KEY = "poolproof_hold"


class Checkout:
    """One connection that is out."""

    __slots__ = (
        "_initial_statement_count",
        "connection",
        "dbapi_connection",
        "is_returned",
        "registry",
        "request",
        "since",
        "stack",
        "statement",
        "thread",
        "violations",
    )  # fmt: skip

    def __init__(
        self,
        registry: CheckoutRegistry,
        request: RequestCheckouts,
        connection: PoolProxiedConnection,
        dbapi_connection: Any,
    ) -> None:
        """Begin now; `taken` is the DBAPI connection behind `connection`."""
        self.registry = registry
        self.request = request
        self.connection = weakref.ref(connection)
        self.dbapi_connection = dbapi_connection
        self.since = time.monotonic()
        self.thread = threading.current_thread()
        self.stack = call_site.capture()
        self.statement = ""
        self.is_returned = False
        self.violations: set[str] = set()
        """As what the watch has named it."""
        self._initial_statement_count: int = getattr(dbapi_connection, "statement_count", 0)

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        return time.monotonic() - self.since

    @property
    def statement_count(self) -> int:
        """How many statements were sent so far."""
        return int(getattr(self.dbapi_connection, "statement_count", 0) - self._initial_statement_count)

    def running_seconds(self, now: float) -> float | None:
        """Return for how many seconds a statement has been running; None when none is."""
        query_started_at = getattr(self.dbapi_connection, "query_started_at", None)
        return None if query_started_at is None else max(0.0, now - query_started_at)

    def is_statement_running(self) -> bool:
        """Say whether the server owes an answer; on SQLite nobody knows, so perhaps."""
        return (
            not hasattr(self.dbapi_connection, "statement_count") or self.dbapi_connection.query_started_at is not None
        )

    def idle_seconds(self, now: float) -> float:
        """Return for how many seconds nothing has been asked of the connection."""
        if self.running_seconds(now) is not None:
            return 0.0
        return now - max(self.since, getattr(self.dbapi_connection, "last_reply_at", 0.0))

    def describe(self) -> str:
        """Say who, how long, what and from where, in one line without any value of a statement."""
        running = self.running_seconds(time.monotonic())
        doing = "idle" if running is None else f"running {self.statement or 'a statement'} for {running:.1f} s"
        return (
            f"{self.request.name or self.thread.name} for {self.seconds:.1f} s "
            f"({self.statement_count} statements, {doing}), borrowed at {call_site.format_site(self.stack)}"
        )

    def end(self) -> None:
        """Note that the connection is back."""
        self.is_returned = True
        self.request.statement_count += self.statement_count


class RequestCheckouts:
    """The connections that one request has taken; outside of requests, one thread."""

    def __init__(self) -> None:
        """Begin with none."""
        self.name = ""
        """Endpoint and request id."""
        self.statement_count = 0
        """Sent on connections that are back."""
        self.guard_raises = False
        """Whether the guard raises or only counts; see `guard`."""
        self.is_finished = False
        self._checkouts: list[Checkout] = []

    def live(self) -> list[Checkout]:
        """Return the connections that are out."""
        self._checkouts = [hold for hold in self._checkouts if not hold.is_returned]
        return self._checkouts

    def add(self, checkout: Checkout) -> None:
        """Remember a checkout."""
        self._checkouts.append(checkout)

    def release_all(self) -> list[Checkout]:
        """Return what is still out to its pool, and say what that was."""
        left = [hold for hold in self.live() if (connection := hold.connection()) is not None and connection.is_valid]
        for hold in left:
            if (connection := hold.connection()) is not None:
                # Its pool rolls back whatever was under way.
                connection.close()
        return left


current_request: ContextVar[RequestCheckouts | None] = ContextVar("poolproof_request_holds", default=None)


class _ThreadState(threading.local):
    def __init__(self) -> None:
        self.checkouts = RequestCheckouts()


_thread_state = _ThreadState()


def _ignore(checkout: Checkout) -> None:
    """Take the place of a watch where there is none."""


class CheckoutRegistry:
    """All connections of one engine that are out."""

    def __init__(self, name: str) -> None:
        """Begin with none; `name` is the lane's."""
        self.name = name
        self.on_checkout: Callable[[Checkout], None] = _ignore
        self.on_leak: Callable[[Checkout], None] = _ignore
        self.on_orphan: Callable[[Checkout], None] = _ignore
        self._live: dict[int, Checkout] = {}
        _instances.add(self)

    def live(self) -> list[Checkout]:
        """Return them all, the longest first."""
        return sorted(self._live.copy().values(), key=lambda hold: hold.since)

    def describe(self) -> str:
        """Say who holds longest, for an error about a full pool."""
        longest = [hold.describe() for hold in self.live()[:MAX_HOLDERS_SHOWN]]
        return f"Held by: {'; '.join(longest)}." if longest else ""

    def record_checkout(
        self, dbapi_connection: Any, record: ConnectionPoolEntry, connection: PoolProxiedConnection
    ) -> None:
        """Note a checkout."""
        request = current_request.get() or _thread_state.checkouts
        hold = Checkout(self, request, connection, dbapi_connection)
        self.on_checkout(hold)
        request.add(hold)
        self._live[id(record)] = record.info[_CHECKOUT_KEY] = hold

    def record_checkin(self, dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
        """Note a return, also one of a connection that was lost meanwhile."""
        hold = self._live.get(id(record))
        # A detached connection's place may have been lent again by the time this is told.
        if hold is not None and (dbapi_connection is None or hold.dbapi_connection is dbapi_connection):
            del self._live[id(record)]
            record.info.pop(_CHECKOUT_KEY, None)
            hold.end()

    def record_reset(self, dbapi_connection: Any, record: ConnectionPoolEntry, state: PoolResetState) -> None:
        """Note that a connection is cleaned up; tell when it is the garbage collector that brings it back."""
        if getattr(record, "needs_gc", False) and (hold := self._live.get(id(record))) is not None:
            self.on_leak(hold)


_instances: weakref.WeakSet[CheckoutRegistry] = weakref.WeakSet()


def _reset_after_fork() -> None:
    # Their threads did not come along: a watch would take them for ended, and close the parent's sockets.
    for holds in list(_instances):
        for hold in holds._live.values():  # noqa: SLF001 - in its own module
            hold.is_returned = True
        holds._live.clear()  # noqa: SLF001


os.register_at_fork(after_in_child=_reset_after_fork)


def track_checkouts(engine: Engine, name: str) -> CheckoutRegistry:
    """Remember every checkout of `engine` with the request it is made for."""
    holds = CheckoutRegistry(name)
    event.listen(engine, "checkout", holds.record_checkout)
    event.listen(engine, "checkin", holds.record_checkin)
    event.listen(engine, "detach", holds.record_checkin)
    event.listen(engine, "reset", holds.record_reset)

    @event.listens_for(engine, "before_cursor_execute")
    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        # With its placeholders: a value may be a secret.
        if (hold := connection.info.get(_CHECKOUT_KEY)) is not None:
            hold.statement = statement[:MAX_STATEMENT_LENGTH]

    return holds
