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

from webapp.pooling import stacks

SHOWN = 5
"""How many holders an error names: those who have held longest."""
LONGEST_STATEMENT = 500
"""Characters that are remembered of a statement: one that inserts many rows has the same again for each."""
_HOLD = "poolproof_hold"


class Hold:
    """One connection that is out."""

    __slots__ = (
        "_asked_before", "connection", "holds", "identity", "is_over", "kinds", "request", "since", "stack",
        "statement", "taken", "thread",
    )  # fmt: skip

    def __init__(self, holds: Holds, request: RequestHolds, connection: PoolProxiedConnection, taken: Any) -> None:
        """Begin now; `taken` is the DBAPI connection behind `connection`."""
        self.holds = holds
        self.request = request
        self.connection = weakref.ref(connection)
        self.taken = taken
        self.since = time.monotonic()
        self.thread = threading.current_thread()
        self.stack = stacks.take()
        self.statement = ""
        self.is_over = False
        self.kinds: set[str] = set()
        """As what the watch has named it."""
        self._asked_before: int = getattr(taken, "asked", 0)

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        return time.monotonic() - self.since

    @property
    def statements(self) -> int:
        """How many statements were sent so far."""
        return int(getattr(self.taken, "asked", 0) - self._asked_before)

    def running(self, now: float) -> float | None:
        """Return for how many seconds a statement has been running; None when none is."""
        busy_since = getattr(self.taken, "busy_since", None)
        return None if busy_since is None else max(0.0, now - busy_since)

    def statement_runs(self) -> bool:
        """Say whether the server owes an answer; on SQLite nobody knows, so perhaps."""
        return not hasattr(self.taken, "asked") or self.taken.busy_since is not None

    def idle(self, now: float) -> float:
        """Return for how many seconds nothing has been asked of the connection."""
        if self.running(now) is not None:
            return 0.0
        return now - max(self.since, getattr(self.taken, "answered_at", 0.0))

    def describe(self) -> str:
        """Say who, how long, what and from where, in one line without any value of a statement."""
        running = self.running(time.monotonic())
        doing = "idle" if running is None else f"running {self.statement or 'a statement'} for {running:.1f} s"
        return (
            f"{self.request.name or self.thread.name} for {self.seconds:.1f} s "
            f"({self.statements} statements, {doing}), borrowed at {stacks.place(self.stack)}"
        )

    def end(self) -> None:
        """Note that the connection is back."""
        self.is_over = True
        self.request.statements += self.statements


class RequestHolds:
    """The connections that one request has taken; outside of requests, one thread."""

    def __init__(self) -> None:
        """Begin with none."""
        self.name = ""
        """Endpoint and request id."""
        self.statements = 0
        """Sent on connections that are back."""
        self.raises = False
        """Whether the guard raises or only counts; see `guard`."""
        self.is_over = False
        self._holds: list[Hold] = []

    def live(self) -> list[Hold]:
        """Return the connections that are out."""
        self._holds = [hold for hold in self._holds if not hold.is_over]
        return self._holds

    def add(self, hold: Hold) -> None:
        """Remember a checkout."""
        self._holds.append(hold)

    def give_back(self) -> list[Hold]:
        """Return what is still out to its pool, and say what that was."""
        left = [hold for hold in self.live() if (connection := hold.connection()) is not None and connection.is_valid]
        for hold in left:
            if (connection := hold.connection()) is not None:
                # Its pool rolls back whatever was under way.
                connection.close()
        return left


current_request: ContextVar[RequestHolds | None] = ContextVar("poolproof_request_holds", default=None)


class _Thread(threading.local):
    def __init__(self) -> None:
        self.holds = RequestHolds()


_this_thread = _Thread()


def _tell_nobody(hold: Hold) -> None:
    """Take the place of a watch where there is none."""


class Holds:
    """All connections of one engine that are out."""

    def __init__(self, name: str) -> None:
        """Begin with none; `name` is the lane's."""
        self.name = name
        self.on_borrow: Callable[[Hold], None] = _tell_nobody
        self.on_leak: Callable[[Hold], None] = _tell_nobody
        self.on_orphan: Callable[[Hold], None] = _tell_nobody
        self._live: dict[int, Hold] = {}
        _all.add(self)

    def live(self) -> list[Hold]:
        """Return them all, the longest first."""
        return sorted(self._live.copy().values(), key=lambda hold: hold.since)

    def describe(self) -> str:
        """Say who holds longest, for an error about a full pool."""
        longest = [hold.describe() for hold in self.live()[:SHOWN]]
        return f"Held by: {'; '.join(longest)}." if longest else ""

    def begin(self, taken: Any, record: ConnectionPoolEntry, connection: PoolProxiedConnection) -> None:
        """Note a checkout."""
        request = current_request.get() or _this_thread.holds
        hold = Hold(self, request, connection, taken)
        self.on_borrow(hold)
        request.add(hold)
        self._live[id(record)] = record.info[_HOLD] = hold

    def end(self, taken: Any, record: ConnectionPoolEntry) -> None:
        """Note a return, also one of a connection that was lost meanwhile."""
        hold = self._live.get(id(record))
        # A detached connection's place may have been lent again by the time this is told.
        if hold is not None and (taken is None or hold.taken is taken):
            del self._live[id(record)]
            record.info.pop(_HOLD, None)
            hold.end()

    def reset(self, taken: Any, record: ConnectionPoolEntry, state: PoolResetState) -> None:
        """Note that a connection is cleaned up; tell when it is the garbage collector that brings it back."""
        if getattr(record, "needs_gc", False) and (hold := self._live.get(id(record))) is not None:
            self.on_leak(hold)


_all: weakref.WeakSet[Holds] = weakref.WeakSet()


def _forget_the_parents_holds() -> None:
    # Their threads did not come along: a watch would take them for ended, and close the parent's sockets.
    for holds in list(_all):
        for hold in holds._live.values():  # noqa: SLF001 - in its own module
            hold.is_over = True
        holds._live.clear()  # noqa: SLF001


os.register_at_fork(after_in_child=_forget_the_parents_holds)


def watch(engine: Engine, name: str) -> Holds:
    """Remember every checkout of `engine` with the request it is made for."""
    holds = Holds(name)
    event.listen(engine, "checkout", holds.begin)
    event.listen(engine, "checkin", holds.end)
    event.listen(engine, "detach", holds.end)
    event.listen(engine, "reset", holds.reset)

    @event.listens_for(engine, "before_cursor_execute")
    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        # With its placeholders: a value may be a secret.
        if (hold := connection.info.get(_HOLD)) is not None:
            hold.statement = statement[:LONGEST_STATEMENT]

    return holds
