"""A database server in this process: thousands of connections a second, and each call fails when it is told to."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import NamedTuple, Self

import pymysql
from sqlalchemy.exc import DisconnectionError, InvalidatePoolError

from tests.unit.poolproof.core.pool_model.conductor import ModelClock

LISTENERS = (
    "connect", "checkout", "checkin", "reset", "close", "invalidate", "soft_invalidate", "detach",
)  # fmt: skip
"""Events of the pool; a listener of each is called before poolproof's own, and one after them."""


class ListenerError(Exception):
    """What a listener raises."""


class Interrupted(BaseException):
    """What a signal handler, or an end of the thread, throws into a call."""


class Fault(NamedTuple):
    """A failure of the next call of `point`; for a listener, of its early or its late one."""

    point: str
    kind: type[BaseException]

    def __repr__(self) -> str:
        return f"{self.kind.__name__} of {self.point}"

    def error(self) -> BaseException:
        """Make what is raised."""
        return self.kind(2013, "Lost connection") if issubclass(self.kind, pymysql.Error) else self.kind(self.point)


def possible_faults(calls: str, listeners: str, *kinds_at_checkout: type[BaseException]) -> list[Fault]:
    """Return the ways in which these calls of the driver, and listeners of these events, can fail."""
    early_and_late = [f"{when} {name}" for name in listeners.split() for when in ("early", "late")]
    return [
        *(Fault(point, kind) for point in calls.split() for kind in (pymysql.OperationalError, Interrupted)),
        *(Fault(point, kind) for point in early_and_late for kind in (ListenerError, Interrupted)),
        # These begin a new attempt: where most of what can go wrong does.
        *(Fault(f"{when} checkout", kind) for when in ("early", "late", "late") for kind in kinds_at_checkout * 2),
    ]


OF_BORROWING = possible_faults(
    "open ping shut", "connect checkout invalidate close", DisconnectionError, InvalidatePoolError
)
OF_RETURNING = possible_faults("rollback shut open", "reset checkin invalidate close detach connect")
OF_CLOSING = possible_faults("shut open", "close connect")
OF_KEEPING = possible_faults("ping shut rollback", "close invalidate checkin")


class FakeConnection:
    """A connection of PyMySQL, as far as a pool sees it."""

    def __init__(self, server: FakeServer, number: int, pool: object) -> None:
        self._server = server
        self._number = number
        self.pool = pool
        self.is_closed = self.is_dead = False
        self.opened_at = server.clock.now
        self.statement_count = 0
        self.query_started_at = None
        self.killed_by_operator = False

    def __repr__(self) -> str:
        return f"<connection {self._number}{' closed' * self.is_closed}{' dead' * self.is_dead}>"

    def init_session(self, settings: object) -> None:
        """Set up the session: nothing to do."""

    def is_reusable(self) -> bool:
        """Say whether the session is as it was set up: nothing here changes it."""
        return not self.is_closed

    def thread_id(self) -> int:
        """Return the server's number of the connection."""
        return self._number

    def responds_within(self, timeout: float, usual_timeout: float) -> bool:
        """Say whether the server answers; a driver's call of it may fail as well."""
        self._server.do_io()
        self._server.call("ping")
        return not self.is_dead

    def ping(self, *, reconnect: bool = False) -> None:
        """Ping as SQLAlchemy's dialect does."""
        self._server.do_io()
        self._server.call("ping")
        self._answer()

    def rollback(self) -> None:
        """Roll back; on a connection that is dead it fails."""
        assert not self.is_closed, "rolled back after it was closed"
        self._server.do_io()
        self._server.call("rollback")
        self._answer()

    commit = rollback

    def close(self) -> None:
        """Close; also where the call fails the socket is gone, as PyMySQL does it."""
        assert not self.is_closed, "closed twice"
        try:
            self._server.do_io()
        finally:
            self._server.closed(self)
        self._server.call("shut")

    def cursor(self) -> FakeCursor:
        """Return what knows the server's wait_timeout."""
        return FakeCursor()

    def _answer(self) -> None:
        if self.is_dead:
            raise self._server.fired_error(pymysql.OperationalError(2013, "Lost connection"))


class FakeCursor:
    """Answers one question: how long a connection may be idle."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *arguments: object) -> None:
        pass

    def execute(self, statement: str, parameters: object = None) -> None:
        """Take the question."""

    def fetchone(self) -> tuple[str]:
        """Answer it."""
        return ("28800",)


class FakeServer:
    """Knows which connections are open, and raises the faults of the present step."""

    def __init__(self, clock: ModelClock, do_io: Callable[[], None]) -> None:
        self.clock = clock
        self.do_io = do_io
        """Called wherever a thread would wait for the network."""
        self.open: set[FakeConnection] = set()
        self.is_up = True
        self.faults: list[Fault] = []
        self.fired: list[weakref.ref[BaseException]] = []
        """What was raised since all threads were at rest; weakly, since a traceback keeps alive what was borrowed."""
        self.opened = 0

    def set_faults(self, faults: Iterable[Fault], *, forgets_earlier: bool = True) -> None:
        """Begin a step in which these calls fail, each once; `forgets_earlier`: what was raised before is forgotten."""
        self.faults = list(faults)
        if forgets_earlier:
            self.fired = []

    def connect(self, pool: object) -> FakeConnection:
        """Open a connection for a pool."""
        self.do_io()
        self.call("open")
        if not self.is_up:
            raise self.fired_error(pymysql.OperationalError(2003, "Can't connect"))
        self.opened += 1
        connection = FakeConnection(self, self.opened, pool)
        self.open.add(connection)
        return connection

    def closed(self, connection: FakeConnection) -> None:
        """Record that a connection was closed."""
        connection.is_closed = True
        self.open.remove(connection)

    def stop(self) -> None:
        """Cut every connection and accept no other."""
        self.is_up = False
        for connection in self.open:
            connection.is_dead = True

    def call(self, point: str) -> None:
        """Raise the fault of this call where there is one."""
        for fault in self.faults:
            if fault.point == point:
                self.faults.remove(fault)
                raise self.fired_error(fault.error())

    def fired_error(self, error: BaseException) -> BaseException:
        """Record that an error is raised, and return it."""
        self.fired.append(weakref.ref(error))
        return error

    def has_raised(self, error: BaseException) -> bool:
        """Say whether an error is one of this step's."""
        return any(error is fired() for fired in self.fired)
