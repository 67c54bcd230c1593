"""A database server that tests may restart, freeze, fill and reconfigure, and that is as new for the next module."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pymysql

from webapp.lab.services.database_server import DatabaseServer, new_server
from webapp.lab.services.programs import Flavour

SCHEMA = "poolproof"
# They count what was written.
VOLATILE = re.compile("gtid|last_insert_id")
SCHEMAS = """
    SELECT schema_name FROM information_schema.schemata
    WHERE schema_name NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')
"""
OTHERS = """
    SELECT id FROM information_schema.processlist
    WHERE id <> CONNECTION_ID() AND user NOT IN ('event_scheduler', 'system user')
"""


class BreakableServer:
    """One server for all modules; `reset` brings back its options, variables, accounts and schemas."""

    def __init__(self, flavour: Flavour, folder: Path, *options: str) -> None:
        self.server = new_server(flavour, folder, *options)
        self._variables = self._present_variables()
        self._accounts = self._present_accounts()

    def reset(self, *options: str) -> DatabaseServer:
        """Return the server running with these options, an empty schema `poolproof`, and nothing of an earlier test."""
        if not self._is_as_started(options):
            self.server.kill()
            self.server.start(*options)
            self._variables = self._present_variables()
        for (number,) in self.server.execute(OTHERS):
            # It may have ended by itself.
            with suppress(pymysql.err.OperationalError):
                self.server.execute(f"KILL {number}")
        for (schema,) in self.server.execute(SCHEMAS):
            self.server.execute(f"DROP DATABASE `{schema}`")
        for name, host in self._present_accounts() - self._accounts:
            self.server.execute("DROP USER %s@%s", (name, host))
        self.server.create_database(SCHEMA)
        return self.server

    def _is_as_started(self, options: tuple[str, ...]) -> bool:
        """Say whether it runs with these options and no variable was set since."""
        process = self.server.process
        if process is None or process.poll() is not None or self.server.options != options:
            return False
        self.server.resume()
        try:
            return self._present_variables() == self._variables
        except pymysql.err.OperationalError:
            # Full, for example.
            return False

    def _present_variables(self) -> dict[str, str]:
        return {name: value for name, value in self.server.execute("SHOW GLOBAL VARIABLES") if not VOLATILE.match(name)}

    def _present_accounts(self) -> set[tuple[str, str]]:
        return set(self.server.execute("SELECT user, host FROM mysql.user"))
