"""What an error means for a connection, a transaction and a caller, whichever driver has raised it.

PostgreSQL's drivers give an error its SQLSTATE, those of MySQL a number, SQLite's a code of its own. Which of them an
error has is asked of the error, so that no driver is imported here. What each value means is in the module of its
server.
"""

from __future__ import annotations

from typing import Protocol, cast

from poolproof.drivers.mysql import errors as mysql_errors
from poolproof.drivers.postgresql import errors as postgresql_errors
from poolproof.drivers.transient_cause import UNAVAILABLE_CAUSES, TransientCause, original_error

__all__ = [
    "UNAVAILABLE_CAUSES", "TransientCause", "error_number", "is_connection_lost", "is_contention", "is_disconnect",
    "is_lock_wait_timeout", "is_no_such_connection", "is_reply", "is_too_many_connections", "is_transient",
    "is_unavailable", "may_be_read_only", "original_error", "transient_cause",
]  # fmt: skip

error_number = mysql_errors.error_number


class _Meanings(Protocol):
    """What the module of a server says of an error."""

    def is_disconnect(self, error: BaseException) -> bool: ...
    def is_connection_lost(self, error: BaseException) -> bool: ...
    def is_contention(self, error: BaseException) -> bool: ...
    def is_lock_wait_timeout(self, error: BaseException) -> bool: ...
    def is_too_many_connections(self, error: BaseException) -> bool: ...
    def is_storage_error(self, error: BaseException) -> bool: ...
    def is_unavailable(self, error: BaseException) -> bool: ...
    def is_reply(self, error: BaseException) -> bool: ...
    def may_be_read_only(self, error: BaseException) -> bool: ...


def _meanings(error: BaseException) -> _Meanings:
    is_postgresql = postgresql_errors.is_of_driver(original_error(error))
    return cast("_Meanings", postgresql_errors if is_postgresql else mysql_errors)


def transient_cause(error: BaseException) -> TransientCause | None:
    """Return why an error is transient; None when repeating the statement would fail again.

    This is the one place that decides it. What follows from a cause is each caller's own matter.
    """
    meanings = _meanings(error)
    if meanings.is_contention(error):
        return TransientCause.CONTENTION
    if meanings.is_connection_lost(error):
        return TransientCause.CONNECTION_LOST
    if meanings.is_too_many_connections(error):
        return TransientCause.TOO_MANY_CONNECTIONS
    if meanings.is_storage_error(error):
        return TransientCause.STORAGE
    return TransientCause.UNAVAILABLE if meanings.is_unavailable(error) else None


def is_transient(error: BaseException) -> bool:
    """Say whether an error says something about the server's or the connection's state, and nothing about values."""
    return transient_cause(error) is not None


def is_disconnect(error: BaseException) -> bool:
    """Say whether an error means that its connection is useless: it broke, or the protocol is out of step."""
    return _meanings(error).is_disconnect(error)


def is_connection_lost(error: BaseException) -> bool:
    """Say whether the connection broke, so that a new one may do better. A read that timed out does not count."""
    return _meanings(error).is_connection_lost(error)


def is_too_many_connections(error: BaseException) -> bool:
    """Say whether the server refused because it has no connection to give."""
    return _meanings(error).is_too_many_connections(error)


def is_unavailable(error: BaseException) -> bool:
    """Say whether no server answered, the connection was lost, or the server, when asked, accepted no writes."""
    return _meanings(error).is_unavailable(error)


def is_contention(error: BaseException) -> bool:
    """Say whether the transaction lost to another one and may be tried again."""
    return _meanings(error).is_contention(error)


def is_lock_wait_timeout(error: BaseException) -> bool:
    """Say whether a statement has waited too long for a row that another transaction has locked."""
    return _meanings(error).is_lock_wait_timeout(error)


def is_reply(error: BaseException) -> bool:
    """Say whether the server itself has refused the statement, or never got it, so that it had no effect.

    Otherwise (the connection was lost or given up, the thread interrupted) it may have had its effect unseen.
    """
    return _meanings(error).is_reply(error)


def may_be_read_only(error: BaseException) -> bool:
    """Say whether an error may mean that the server accepts no writes (any more); it has to be asked."""
    return _meanings(error).may_be_read_only(error)


def is_no_such_connection(error: BaseException) -> bool:
    """Say whether MySQL or MariaDB has no connection with the id of a KILL."""
    return error_number(error) == mysql_errors.NO_SUCH_THREAD
