"""Executes an operator's commands and overrides on the lanes of this process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from poolproof import event_log
from poolproof.drivers import errors
from poolproof.fleet import process_snapshot
from poolproof.fleet.commands import CommandError
from poolproof.lanes import Lanes, fair_pools
from poolproof.leaks import call_site
from poolproof.leaks.checkouts import Checkout
from poolproof.runtime.files import JsonObject

TERMINATE_BACKEND = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE pid = :number AND usename = current_user AND datname = current_database()"
)
"""A number that was given to another session meanwhile is left alone, unless it is one of this application's."""
INTERRUPT_GRACE = 0.2
"""Seconds for an interrupted statement on SQLite to end by itself."""


class CommandHandler:
    """Executes commands on the lanes of one process."""

    def __init__(self, lanes: Lanes) -> None:
        """Remember the configured sizes; they apply again when an override is removed."""
        self._lanes = lanes
        self._configured_sizes = {lane.name: pool.size() for lane, pool in fair_pools(lanes)}

    def execute(self, command: JsonObject) -> str:
        """Execute a command; return its result.

        Raises:
            CommandError: when it cannot be executed, with the reason.
        """
        actions: dict[str, Callable[[JsonObject], str]] = {"end": self._end_checkout, "drain": self._drain}
        action = actions.get(str(command.get("action")))
        if action is None:
            raise CommandError(f"This process does not know how to {command.get('action')}.")
        return action(command)

    def apply_overrides(self, overrides: JsonObject) -> None:
        """Put the overrides into effect: the sizes of lanes, and which of them are suspended."""
        for lane, pool in fair_pools(self._lanes):
            size = int(overrides.get("sizes", {}).get(lane.name, self._configured_sizes[lane.name]))
            if size != pool.size():
                event_log.record("resize", f"The {lane.name} lane has {size} connections now; it had {pool.size()}.")
                pool.resize(size)
            is_suspended = lane.name in overrides.get("paused", ())
            if is_suspended != pool.is_suspended:
                event_log.record("pause", f"The {lane.name} lane {'is paused' if is_suspended else 'goes on'}.")
                (pool.suspend if is_suspended else pool.resume)()

    def _end_checkout(self, command: JsonObject) -> str:
        checkout = process_snapshot.find_checkout(self._lanes, int(command["checkout"]))
        # A connection that was lent again since the operator looked belongs to another request: to another checkout.
        if checkout is None or not checkout.begin_end():
            raise CommandError(f"Connection {command['connection']} is back in its pool already.")
        number, site = process_snapshot.connection_id(checkout), call_site.format_site(checkout.stack)
        described = f"connection {number} of {checkout.request.name or checkout.thread.name}, borrowed at {site}"
        is_ended = True
        try:
            self._disconnect(checkout, number)
        except Exception as error:
            # Where the reply to KILL was lost, it is not known: the connection is closed when it returns.
            is_ended = errors.is_connection_lost(error)
            raise
        finally:
            checkout.finish_end(is_ended=is_ended)
        event_log.record("ended", f"An operator has ended {described}.", site=site)
        return f"Ended {described}."

    def _disconnect(self, checkout: Checkout, number: int) -> None:
        if not checkout.is_statement_running():
            # Closed, and its slot in the pool is free at once; its holder gets an error at the next statement.
            _invalidate(checkout)
        elif hasattr(checkout.dbapi_connection, "interrupt"):
            # SQLite. When the statement has ended meanwhile, the interrupt has no effect, and the connection is closed.
            checkout.dbapi_connection.interrupt()
            time.sleep(INTERRUPT_GRACE)
            _invalidate(checkout)
        else:
            self._kill_connection(checkout, number)

    def _kill_connection(self, checkout: Checkout, number: int) -> None:
        # Not closed here: the thread that waits for the reply would keep waiting. The server ends its wait.
        connection = checkout.dbapi_connection
        with self._lanes.console.engine.connect() as console:
            # Looked at again: it took a moment to get that connection. What returns from here on is not lent on.
            if checkout.is_returned:
                raise CommandError(f"Connection {number} came back by itself in this moment.")
            connection.killed_by_operator = True
            try:
                is_there = _end_on_server(console, connection, number)
            except DBAPIError as error:
                connection.killed_by_operator = errors.is_connection_lost(error)
                raise
            if not is_there:
                connection.killed_by_operator = False
                raise CommandError(f"Connection {number} was closed in this moment.")

    def _drain(self, command: JsonObject) -> str:
        # For Gunicorn: finish the present requests, and end. The master starts another worker.
        os.kill(os.getpid(), signal.SIGTERM)
        return f"Process {os.getpid()} finishes its requests and ends; another one takes its place."


def _end_on_server(console: Connection, connection: Any, number: int) -> bool:
    """End a connection from the server's side; return whether there was one with this number."""
    if getattr(connection, "is_behind_pooler", False):
        # The number is the pooler's, and on the server it may be another session's. Broken from this side, the thread
        # that waits gets its error, and the pooler drops its own connection, which is in the midst of a statement.
        connection.abort()
        return True
    if console.dialect.name == "postgresql":
        return console.execute(TERMINATE_BACKEND, {"number": number}).scalar_one_or_none() is True
    try:
        console.execute(text("KILL CONNECTION :number"), {"number": number})
    except DBAPIError as error:
        if errors.is_no_such_connection(error):
            return False
        raise
    return True


def _invalidate(checkout: Checkout) -> None:
    connection = checkout.connection()
    if connection is not None and connection.is_valid:
        connection.invalidate()
