"""What MySQL's and MariaDB's error numbers mean for a connection, a transaction and a caller.

The numbers are read from the exception's first argument, as every MySQL driver for Python gives them, so that no
driver is imported here. Those of the server are in its manual under "Server Error Message Reference", those of the
client (2000 to 2999) under "Client Error Message Reference".
"""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from poolproof.drivers.transient_cause import original_error

_FIRST_CLIENT_ERROR, _LAST_CLIENT_ERROR = 2000, 2999
_LOCK_WAIT_TIMEOUT = 1205
NO_SUCH_THREAD = 1094
"""MySQL's and MariaDB's error for a KILL of a connection that is gone."""

TOO_MANY_CONNECTIONS_ERRORS = {
    1040,  # ER_CON_COUNT_ERROR
    1203,  # ER_TOO_MANY_USER_CONNECTIONS
    1226,  # ER_USER_LIMIT_REACHED
}
"""The server is full: max_connections, max_user_connections, or a limit of the account."""

READ_ONLY_ERRORS = {
    1290,  # ER_OPTION_PREVENTS_STATEMENT: any option, --read-only or --secure-file-priv
    1792,  # ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION: the server's default, or the caller's own
    1836,  # ER_READ_ONLY_MODE
}
"""The server may accept no writes (any more): after a failover the pool would keep its connections to it for ever.

It has to be asked: each of them has other reasons, which only its text would tell, in the server's language.
"""

LOST_CONNECTION_ERRORS = {
    2006,  # CR_SERVER_GONE_ERROR
    2013,  # CR_SERVER_LOST
    2055,  # CR_SERVER_LOST_EXTENDED
    1053,  # ER_SERVER_SHUTDOWN
    1077,  # ER_NORMAL_SHUTDOWN
    1927,  # MariaDB: connection was killed
    4031,  # MySQL: disconnected by the server because of inactivity
}
"""The connection broke, or the server has closed it."""

UNAVAILABLE_ERRORS = LOST_CONNECTION_ERRORS | {
    2002,  # CR_CONNECTION_ERROR
    2003,  # CR_CONN_HOST_ERROR
}
"""No server answers, or the connection broke."""

CONTENTION_ERRORS = {
    1213,  # ER_LOCK_DEADLOCK
    _LOCK_WAIT_TIMEOUT,
    1020,  # ER_CHECKREAD; MariaDB with innodb_snapshot_isolation, its default since 11.6: the row was changed meanwhile
}
"""Two transactions wanted the same rows; the one that lost may be repeated."""

_SQLITE_LOCKED_ERRORS = {
    5,  # SQLITE_BUSY: another connection has the lock
    6,  # SQLITE_LOCKED: … a connection of this process, with which the cache is shared
}

STORAGE_ERRORS = {
    1021,  # ER_DISK_FULL
    1114,  # ER_RECORD_FILE_FULL: "The table is full", as InnoDB says of a full disk
    3675,  # ER_DISK_FULL_NOWAIT
}
"""The server cannot store what it was sent: its disk is full."""

_SQLITE_STORAGE_ERRORS = {
    10,  # SQLITE_IOERR
    13,  # SQLITE_FULL
    14,  # SQLITE_CANTOPEN: a file beside the database cannot be made
}

_OUT_OF_STEP_ERRORS = {
    2014,  # CR_COMMANDS_OUT_OF_SYNC
    2027,  # CR_MALFORMED_PACKET
}
"""What comes next on the connection cannot be understood; a statement under way may have been executed."""


def is_disconnect(error: BaseException) -> bool:
    """Say whether an error means that its connection is useless: it broke, or the protocol is out of step."""
    original = original_error(error)
    return _broke(original) or error_number(original) in _OUT_OF_STEP_ERRORS


def is_reply(error: BaseException) -> bool:
    """Say whether the server itself has refused the statement, or never got it, so that it had no effect.

    Otherwise (the connection was lost or given up, the thread interrupted) it may have had its effect unseen.
    """
    number = error_number(error)
    if number is None:
        return False
    is_of_server = number < _FIRST_CLIENT_ERROR or number > _LAST_CLIENT_ERROR
    # 0 is what PyMySQL gives for a connection that it has closed itself: nothing is sent on it.
    return number == 0 or (is_of_server and number not in LOST_CONNECTION_ERRORS)


def is_connection_lost(error: BaseException) -> bool:
    """Say whether the connection broke, so that a new one may do better. A read that timed out does not count."""
    original = original_error(error)
    return _broke(original) and not isinstance(original.__context__, TimeoutError)


def is_lock_wait_timeout(error: BaseException) -> bool:
    """Say whether a statement has waited too long for a row that another transaction has locked."""
    return error_number(error) == _LOCK_WAIT_TIMEOUT


def may_be_read_only(error: BaseException) -> bool:
    """Say whether an error may mean that the server accepts no writes (any more); it has to be asked."""
    return error_number(error) in READ_ONLY_ERRORS


def _broke(original: BaseException) -> bool:
    number, kind = error_number(original), type(original).__name__
    # PyMySQL has no number for packets that are out of sequence, which is its only InternalError without one; it closes
    # the connection first. 0 is what it gives for a connection that it has closed itself.
    return (
        number in LOST_CONNECTION_ERRORS
        or (kind == "InterfaceError" and number == 0)
        or (kind == "InternalError" and number is None)
    )


def error_number(error: BaseException) -> int | None:
    """Return the server's or client's error number, if the error carries one."""
    arguments = original_error(error).args
    return arguments[0] if arguments and isinstance(arguments[0], int) else None


def is_too_many_connections(error: BaseException) -> bool:
    """Say whether the server refused because it has no connection to give."""
    return error_number(error) in TOO_MANY_CONNECTIONS_ERRORS


def is_unavailable(error: BaseException) -> bool:
    """Say whether no server answered, the connection was lost, or the server, when asked, accepted no writes."""
    # Where the server turned out to be read-only, the connection of the error was invalidated (see `liveness`).
    return error_number(error) in UNAVAILABLE_ERRORS or (isinstance(error, DBAPIError) and error.connection_invalidated)


def is_contention(error: BaseException) -> bool:
    """Say whether the transaction lost to another one and may be tried again.

    On SQLite that is a database that stayed locked longer than its busy time-out.
    """
    return _sqlite_kind(error) in _SQLITE_LOCKED_ERRORS or error_number(error) in CONTENTION_ERRORS


def is_storage_error(error: BaseException) -> bool:
    """Say whether the disk under the database is full, or does not take what is written."""
    return _sqlite_kind(error) in _SQLITE_STORAGE_ERRORS or error_number(error) in STORAGE_ERRORS


def _sqlite_kind(error: BaseException) -> int | None:
    code: int | None = getattr(original_error(error), "sqlite_errorcode", None)
    # The lower byte is the kind; what is above it says more about the reason.
    return None if code is None else code & 0xFF
