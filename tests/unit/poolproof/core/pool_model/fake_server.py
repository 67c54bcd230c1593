"""A database server in this process: thousands of connections a second, and each call fails when it is told to."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import NamedTuple, Self

import pymysql
from sqlalchemy.exc import DisconnectionError, InvalidatePoolError

LISTENERS = (
    "connect", "checkout", "checkin", "reset", "close", "invalidate", "soft_invalidate", "detach",
)  # fmt: skip
"""Events of the pool; a listener of each is called before poolproof's own, and one after them."""
DRIVER_CALLS = ("open", "ping", "rollback", "shut")


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


FAULTS = (
    *(Fault(point, kind) for point in DRIVER_CALLS for kind in (pymysql.OperationalError, Interrupted)),
    *(
        Fault(f"{when} {name}", kind)
        for name in LISTENERS
        for when in ("early", "late")
        for kind in (ListenerError, Interrupted)
    ),
    *(
        Fault(f"{when} checkout", kind)
        for when in ("early", "late")
        for kind in (DisconnectionError, InvalidatePoolError)
    ),
)


class FakeConnection:
    """A connection of PyMySQL, as far as a pool sees it."""

    def __init__(self, server: FakeServer, number: int, pool: object) -> None:
        self._server = server
        self._number = number
        self.pool = pool
        self.is_closed = self.is_dead = False
        self.statement_count = 0
        self.query_started_at = None
        self.killed_by_operator = False

    def __repr__(self) -> str:
        return f"<connection {self._number}{' closed' * self.is_closed}{' dead' * self.is_dead}>"

    def init_session(self, settings: object) -> None:
        """Set up the session: nothing to do."""

    def thread_id(self) -> int:
        """Return the server's number of the connection."""
        return self._number

    def responds_within(self, timeout: float, usual_timeout: float) -> bool:
        """Say whether the server answers; a driver's call of it may fail as well."""
        self._server.call("ping")
        return not self.is_dead

    def ping(self, *, reconnect: bool = False) -> None:
        """Ping as SQLAlchemy's dialect does."""
        self._server.call("ping")
        self._answer()

    def rollback(self) -> None:
        """Roll back; on a connection that is dead it fails."""
        assert not self.is_closed, "rolled back after it was closed"
        self._server.call("rollback")
        self._answer()

    commit = rollback

    def close(self) -> None:
        """Close; also where the call fails the socket is gone, as PyMySQL does it."""
        assert not self.is_closed, "closed twice"
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

    def __init__(self) -> None:
        self.open: set[FakeConnection] = set()
        self.is_up = True
        self.faults: list[Fault] = []
        self.fired: list[weakref.ref[BaseException]] = []
        """What was raised in this step; weakly, since an error's traceback keeps alive what its frames borrowed."""
        self.opened = 0

    def set_faults(self, faults: Iterable[Fault]) -> None:
        """Begin a step in which these calls fail, each once."""
        self.faults, self.fired = list(faults), []

    def connect(self, pool: object) -> FakeConnection:
        """Open a connection for a pool."""
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
