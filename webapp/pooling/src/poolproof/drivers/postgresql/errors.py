"""What PostgreSQL's SQLSTATEs mean for a connection, a transaction and a caller.

psycopg 3 has them as `sqlstate`, psycopg2 as `pgcode`; the codes are in PostgreSQL's manual under "Error Codes". An
error of the client library itself has none, and libpq gives none for a connect that the server refuses: whether it was
full (53300), was starting (57P03) or did not know the role is in its text alone, which decides nothing here. So every
connect that fails means "unavailable".
"""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from poolproof.drivers.transient_cause import original_error

TOO_MANY_CONNECTIONS = "53300"
LOCK_NOT_AVAILABLE = "55P03"
READ_ONLY_TRANSACTION = "25006"
"""The server may accept no writes (any more): after a failover the pool would keep its connections to it for ever.

It has to be asked: a transaction may be read-only by its caller's own will.
"""

LOST_CONNECTION_STATES = {
    "08000",  # connection_exception
    "08003",  # connection_does_not_exist
    "08006",  # connection_failure
    "08007",  # transaction_resolution_unknown
    "25P03",  # idle_in_transaction_session_timeout
    "25P04",  # transaction_timeout, which ends the session as well
    "57P01",  # admin_shutdown: of the server, or of this session by pg_terminate_backend
    "57P02",  # crash_shutdown: another session has crashed
    "57P04",  # database_dropped
    "57P05",  # idle_session_timeout
}
"""The connection broke, or the server has closed it."""

UNAVAILABLE_STATES = LOST_CONNECTION_STATES | {
    "08001",  # sqlclient_unable_to_establish_sqlconnection
    "08004",  # sqlserver_rejected_establishment_of_sqlconnection
    "57P03",  # cannot_connect_now: it starts, shuts down or recovers
}
"""No server answers, or the connection broke."""

CONTENTION_STATES = {
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    LOCK_NOT_AVAILABLE,  # lock_timeout, or NOWAIT
}
"""Two transactions wanted the same rows; the one that lost may be repeated."""

STORAGE_STATES = {
    "53100",  # disk_full
    "58030",  # io_error
}
"""The server cannot store what it was sent."""

_PROTOCOL_VIOLATION = "08P01"
"""What comes next on the connection cannot be understood; PgBouncer uses it as well for a connection that it ends."""
_DRIVERS = {"psycopg", "psycopg2"}
_AT_CONNECT = "poolproof_at_connect"
"""Attribute of a driver's error that was raised by a connect."""


def sqlstate(error: BaseException) -> str | None:
    """Return the SQLSTATE of an error, if it has one."""
    original = original_error(error)
    state: str | None = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    return state


def is_of_driver(original: BaseException) -> bool:
    """Say whether a driver's error is one of psycopg's or psycopg2's."""
    return any(kind.__module__.partition(".")[0] in _DRIVERS for kind in type(original).__mro__)


def mark_connect_error(error: BaseException) -> None:
    """Record that an error was raised by a connect, where nothing can have been lost."""
    setattr(error, _AT_CONNECT, True)


def is_disconnect(error: BaseException) -> bool:
    """Say whether an error means that its connection is useless: it broke, or the protocol is out of step."""
    original = original_error(error)
    return _broke(original) or sqlstate(original) == _PROTOCOL_VIOLATION


def is_reply(error: BaseException) -> bool:
    """Say whether the server itself has refused the statement, or never got it, so that it had no effect."""
    original = original_error(error)
    state = sqlstate(original)
    if state is not None:
        return state not in LOST_CONNECTION_STATES and state != _PROTOCOL_VIOLATION
    # What the driver refuses by itself (a wrong number of parameters, a closed cursor) is not sent.
    return is_of_driver(original) and not _is_of_client_library(original)


def is_connection_lost(error: BaseException) -> bool:
    """Say whether the connection broke, so that a new one may do better. A read that timed out does not count."""
    original = original_error(error)
    return _broke(original) and not isinstance(original.__context__, TimeoutError)


def is_lock_wait_timeout(error: BaseException) -> bool:
    """Say whether a statement has waited too long for a row that another transaction has locked."""
    return sqlstate(error) == LOCK_NOT_AVAILABLE


def may_be_read_only(error: BaseException) -> bool:
    """Say whether an error may mean that the server accepts no writes (any more); it has to be asked."""
    return sqlstate(error) == READ_ONLY_TRANSACTION


def is_too_many_connections(error: BaseException) -> bool:
    """Say whether the server, or a pooler before it, refused because it has no connection to give."""
    return sqlstate(error) == TOO_MANY_CONNECTIONS


def is_storage_error(error: BaseException) -> bool:
    """Say whether the database could not store what it was sent, because its disk is full or does not take it."""
    return sqlstate(error) in STORAGE_STATES


def is_unavailable(error: BaseException) -> bool:
    """Say whether no server answered, the connection was lost, or the server, when asked, accepted no writes."""
    original = original_error(error)
    return (
        sqlstate(original) in UNAVAILABLE_STATES
        or (sqlstate(original) is None and _is_of_client_library(original))
        or (isinstance(error, DBAPIError) and error.connection_invalidated)
    )


def is_contention(error: BaseException) -> bool:
    """Say whether the transaction lost to another one and may be tried again."""
    return sqlstate(error) in CONTENTION_STATES


def _broke(original: BaseException) -> bool:
    state = sqlstate(original)
    if state is None:
        return _is_of_client_library(original) and not getattr(original, _AT_CONNECT, False)
    return state in LOST_CONNECTION_STATES


def _is_of_client_library(original: BaseException) -> bool:
    """Say whether libpq has raised an error without a SQLSTATE: it could not connect, or the connection broke.

    psycopg2 has its general DatabaseError for some of them.
    """
    kinds = {kind.__name__ for kind in type(original).__mro__}
    return "OperationalError" in kinds or type(original).__name__ == "DatabaseError"
