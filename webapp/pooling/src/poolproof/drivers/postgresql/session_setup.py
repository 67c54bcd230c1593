"""What is asked of a new session: which server it is on, whether a pooler is between, and whether it is as promised.

A session behind PgBouncer in transaction mode is another one in each transaction, so it cannot be set up from here:
PgBouncer refuses parameters that it does not know, or drops them where it is told to ignore them. Then they have to be
set for the role, and a connection whose session is not as the pool promises is refused with the statements that do it.
"""

from __future__ import annotations

from typing import Any

from poolproof.drivers.postgresql.connect_args import session_parameters
from poolproof.errors import PoolConfigurationError
from poolproof.settings import PoolSettings

ABOUT_SERVER = (
    "SELECT pg_backend_pid(), extract(epoch FROM pg_postmaster_start_time())::float8,"
    " extract(epoch FROM current_setting('idle_session_timeout', true)::interval)::float8"
)
MEANINGS = ("TimeZone", "standard_conforming_strings", "default_transaction_isolation")
"""Parameters that have one value."""
TIMES = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
"""Parameters that are 0 where there is no limit."""


def learn_server(connection: Any) -> None:
    """Ask a new session about its server; without a transaction, in one round trip."""
    autocommit = connection.autocommit
    if not autocommit:
        connection.autocommit = True
    process, server_start, idle_timeout = _fetch_one(connection, ABOUT_SERVER)
    if not autocommit:
        connection.autocommit = False
    connection.statement_count = 0
    connection.server_start = server_start
    connection.idle_session_timeout = int(idle_timeout) or None if idle_timeout else None
    # A pooler answers the connect by itself, with a number that is no process of the server's.
    connection.is_behind_pooler = process != connection.thread_id()


def check_owned_session(connection: Any, settings: PoolSettings, role: str | None) -> None:
    """Refuse a session behind a pooler that is not as the pool promises.

    Of time-outs it has to have some: lanes want different ones, and the role has one for all.

    Raises:
        PoolConfigurationError: when a parameter has another value; the text has the statements that set it.
    """
    wanted = session_parameters(settings)
    meanings = [name for name in MEANINGS if name in wanted]
    texts = ", ".join(f"current_setting('{name}')" for name in meanings)
    times = ", ".join(f"(extract(epoch FROM current_setting('{name}')::interval) * 1000)::bigint" for name in TIMES)
    values = _fetch_one(connection, f"SELECT {texts}, {times}")
    texts_differ = [name for name, value in zip(meanings, values, strict=False) if value not in _accepted(wanted[name])]
    unbounded = [name for name, value in zip(TIMES, values[len(meanings) :], strict=True) if not value]
    different = [*texts_differ, *unbounded]
    if different:
        statements = " ".join(
            f"ALTER ROLE {role or 'CURRENT_USER'} SET {name} = '{wanted[name]}';" for name in different
        )
        raise PoolConfigurationError(
            "Between here and PostgreSQL is a pooler (PgBouncer), so sessions cannot be set up from here, and "
            f"{', '.join(different)} would not be as promised. Execute once on the server: {statements}"
        )


def _accepted(wanted: str) -> set[str]:
    # Debian's default is another name of the same zone.
    return {"UTC", "Etc/UTC"} if wanted == "UTC" else {wanted}


def _fetch_one(connection: Any, statement: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()
