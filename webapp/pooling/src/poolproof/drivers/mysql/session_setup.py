"""The statement that sets up a new session.

What decides the meaning of a statement or the end of a transaction is set in any case: a server may have any default
for it, and its greeting says "autocommit" whatever the default is, so that PyMySQL's own argument sends nothing.
"""

from __future__ import annotations

from typing import Any

from poolproof.own_settings import is_strict, is_utc
from poolproof.settings import PoolSettings

READ_COMMITTED = "READ COMMITTED"
SQL_MODE = "TRADITIONAL,ONLY_FULL_GROUP_BY"
"""No silent truncation, and names are quoted in MySQL's own way."""
NO_LIMIT = 2**64 - 1
"""What a server means by no limit of the rows of a SELECT."""


def init_session_statement(server_version: str, settings: PoolSettings, level: str = READ_COMMITTED) -> str:
    """Return the one SET that sets up a new session.

    Read committed unless the engine was created with another level, because ranges that one transaction has read must
    not lock out the inserts of others; UTC; no silent truncation; statements bounded by the server; changes of the
    session are reported.
    """
    # MariaDB reports "5.5.5-10.11.6-MariaDB", so that old clients accept it as MySQL.
    if "MariaDB" in server_version:
        transaction = "tx"
        limit = f"max_statement_time = {settings.statement_timeout:g}"
    else:
        transaction = "transaction"
        limit = f"max_execution_time = {int(settings.statement_timeout * 1000)}"
    assignments = (
        *(("time_zone = '+00:00'",) if is_utc(settings) else ()),
        f"{transaction}_isolation = '{level.replace(' ', '-')}'",
        f"{transaction}_read_only = 0",
        *((f"sql_mode = '{SQL_MODE}'",) if is_strict(settings) else ()),
        "autocommit = 1",
        "completion_type = 'NO_CHAIN'",
        "foreign_key_checks = 1",
        "unique_checks = 1",
        "sql_safe_updates = 0",
        f"sql_select_limit = {NO_LIMIT}",
        # The server's default of 50 s is longer than any caller waits.
        f"innodb_lock_wait_timeout = {settings.lock_wait_timeout}",
        limit,
        "session_track_state_change = ON",
    )
    return f"SET SESSION {', SESSION '.join(assignments)}"


def read_wait_timeout(connection: Any) -> int:
    """Return the seconds after which the server closes an idle session."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@wait_timeout")
        return int(cursor.fetchone()[0])
