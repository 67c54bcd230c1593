"""The connections that are checked out: for which request, since when, borrowed where, doing what.

What units of work cannot cover (a stream that is abandoned, a session of another extension whose teardown never ran) is
found here: every checkout is recorded, weakly, with the request it is made for.
"""

from __future__ import annotations

import itertools
import threading
import time
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from sqlalchemy.pool import PoolProxiedConnection

from poolproof.leaks import call_site

if TYPE_CHECKING:
    from poolproof.leaks.checkout_registry import CheckoutRegistry

MAX_END_WAIT = 0.1
"""Seconds that a return waits for an operator's action on its connection, which is closed in any case."""
FRAMES_OF_A_CHECKOUT = 4
"""Frames between `capture` and what has called the pool: `Checkout`, the registry twice, and the pool or its event."""
NO_VIOLATIONS: frozenset[str] = frozenset()
_numbers = itertools.count(1)


class Checkout:
    """One connection that is checked out."""

    __slots__ = (
        "_activity", "_ender", "_initial_statement_count", "_is_end_over", "connection", "dbapi_connection",
        "is_ending",
        "is_returned",
        "number",
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
        connection: weakref.ref[PoolProxiedConnection],
        dbapi_connection: Any,
        activity: Any,
    ) -> None:
        """Begin now; `dbapi_connection` is behind the proxy `connection`, and `activity` knows what it is doing.

        This runs for every checkout of every application: what is kept is what costs nothing to keep.
        """
        self.number = next(_numbers)
        """No other checkout of this process has it."""
        self.registry = registry
        self.request = request
        self.connection = connection
        self.dbapi_connection = dbapi_connection
        self.since = time.monotonic()
        self.thread = threading.current_thread()
        self.stack = call_site.capture(FRAMES_OF_A_CHECKOUT)
        self.statement = ""
        self.is_returned = False
        self.is_ending = False
        """Whether an operator ends it: then its connection is closed when it returns, and not lent on."""
        self._ender = 0
        self._is_end_over: threading.Event | None = None
        self.violations: frozenset[str] = NO_VIOLATIONS
        """What the leak detector has found wrong with it."""
        self._activity = activity
        self._initial_statement_count: int = getattr(activity, "statement_count", 0)

    @property
    def seconds(self) -> float:
        """For how many seconds it has lasted."""
        return time.monotonic() - self.since

    @property
    def statement_count(self) -> int:
        """How many statements were sent on it so far."""
        return int(getattr(self._activity, "statement_count", 0) - self._initial_statement_count)

    def running_seconds(self, now: float) -> float | None:
        """Return for how many seconds a statement has been running; None when none runs."""
        query_started_at = getattr(self._activity, "query_started_at", None)
        return None if query_started_at is None else max(0.0, now - query_started_at)

    def is_in_use_elsewhere(self) -> bool:
        """Say whether another thread than the present one is running a statement on it."""
        is_elsewhere = self.thread is not threading.current_thread() and self.thread.is_alive()
        return is_elsewhere and self.running_seconds(time.monotonic()) is not None

    def is_abandoned(self) -> bool:
        """Say whether what has borrowed it is over: its thread, or its request where that is served by many threads."""
        return not self.thread.is_alive() if self.request.is_bound_to_thread else self.request.is_finished

    def is_statement_running(self) -> bool:
        """Say whether the server owes an answer; True where the driver does not track that."""
        return not hasattr(self._activity, "statement_count") or self._activity.query_started_at is not None

    def idle_seconds(self, now: float) -> float:
        """Return for how many seconds no statement has run; 0.0 while one runs."""
        if self.running_seconds(now) is not None:
            return 0.0
        return now - max(self.since, getattr(self._activity, "last_reply_at", 0.0))

    def describe(self) -> str:
        """Say for which request, how long, doing what and from where; one line, without any value of a statement."""
        running = self.running_seconds(time.monotonic())
        activity = "idle" if running is None else f"running {self.statement or 'a statement'} for {running:.1f} s"
        return (
            f"{self.request.name or self.thread.name} for {self.seconds:.1f} s "
            f"({self.statement_count} statements, {activity}), borrowed at {call_site.format_site(self.stack)}"
        )

    def begin_end(self) -> bool:
        """Begin to end it for an operator; say whether it still lasts. Then nobody else gets its connection.

        No lock is taken, because a return may happen inside a garbage collection in any thread. The order decides: this
        marks the checkout first and then looks whether it is over; a return says that it is over and then looks for the
        mark. So one of them notices the other.
        """
        self._ender, self._is_end_over = threading.get_ident(), threading.Event()
        self.is_ending = True
        if self.is_returned:
            self.is_ending = False
        return not self.is_returned

    def finish_end(self, *, is_ended: bool) -> None:
        """Let its return go on; where it was not ended after all, its connection may be lent again."""
        self.is_ending = is_ended
        if self._is_end_over is not None:
            self._is_end_over.set()

    def wait_for_end(self) -> None:
        """Wait until an operator's action on its connection is over, but not in the thread that does it."""
        if self._is_end_over is not None and threading.get_ident() != self._ender:
            self._is_end_over.wait(MAX_END_WAIT)

    def replace_connection(self, dbapi_connection: Any) -> None:
        """Go on with another connection."""
        if self._activity is self.dbapi_connection:
            self._activity = dbapi_connection
        self.dbapi_connection = dbapi_connection

    def end(self) -> None:
        """Record that the connection is back."""
        self.is_returned = True
        request = self.request
        request.statement_count += getattr(self._activity, "statement_count", 0) - self._initial_statement_count
        request.by_number.pop(self.number, None)


class RequestCheckouts:
    """The connections that one request has checked out; outside of requests, one thread."""

    statement_count = 0
    """Statements sent on connections that are back."""
    is_finished = False
    is_bound_to_thread = True
    """Whether a checkout is orphaned when its thread ends: over ASGI it is used in others."""

    def __init__(self, name: str = "", *, guard_raises: bool = False) -> None:
        """Begin with none; `name` has endpoint and request id.

        With `guard_raises` the blocking guard raises, and without it only counts; see `blocking_guard`.
        """
        self.name = name
        self.guard_raises = guard_raises
        self.by_number: dict[int, Checkout] = {}
        """Never replaced, and changed by single steps: threads that a request has started share it."""

    def live(self) -> list[Checkout]:
        """Return the checkouts that are not over."""
        if not self.by_number:
            # Of most requests: nothing is copied.
            return []
        return [checkout for checkout in self.by_number.copy().values() if not checkout.is_returned]

    def release_all(self, thread: threading.Thread | None = None) -> list[Checkout]:
        """Return every connection that is out (and borrowed in `thread`) to its pool; return what this has ended.

        One on which another thread is running a statement is left to that thread: a rollback in the midst of it would
        take a part of its reply, and leave the rest to the next borrower.
        """
        unreturned = [one for one in self.live() if thread in {None, one.thread} and not one.is_in_use_elsewhere()]
        unreturned = [one for one in unreturned if _is_valid(one.connection())]
        for checkout in unreturned:
            if (connection := checkout.connection()) is not None:
                # The pool rolls back an open transaction.
                connection.close()
        return unreturned


def _is_valid(connection: PoolProxiedConnection | None) -> bool:
    return connection is not None and connection.is_valid


current_request: ContextVar[RequestCheckouts | None] = ContextVar("poolproof_request_holds", default=None)


class _ThreadState(threading.local):
    def __init__(self) -> None:
        self.checkouts = RequestCheckouts()


thread_state = _ThreadState()
