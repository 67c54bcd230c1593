"""Executes an operator's commands and overrides on the lanes of this process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import text

from poolproof import event_log
from poolproof.fleet import process_snapshot
from poolproof.fleet.commands import CommandError
from poolproof.lanes import Lanes, fair_pools
from poolproof.leaks import call_site
from poolproof.leaks.checkouts import Checkout
from poolproof.runtime.files import JsonObject

SAME_CHECKOUT_TOLERANCE = 1e-4
"""Seconds by which the start of a checkout may differ from the one an operator has seen, by rounding."""
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
        number = int(command["connection"])
        checkout = process_snapshot.find_checkout(self._lanes, number)
        # A connection that was lent again since the operator looked belongs to another request.
        if checkout is None or _differs(checkout.since, command.get("since", checkout.since)):
            raise CommandError(f"Connection {number} is back in its pool already.")
        site = call_site.format_site(checkout.stack)
        described = f"connection {number} of {checkout.request.name or checkout.thread.name}, borrowed at {site}"
        event_log.record("ended", f"An operator has ended {described}.", site=site)
        if checkout.is_statement_running():
            self._end_statement(checkout, number)
        elif (connection := checkout.connection()) is not None:
            # Closed, and its slot in the pool is free at once; its holder gets an error at the next statement.
            connection.invalidate()
        return f"Ended {described}."

    def _end_statement(self, checkout: Checkout, number: int) -> None:
        if hasattr(checkout.dbapi_connection, "interrupt"):
            # SQLite. When the statement has ended meanwhile, the interrupt has no effect, and the connection is closed.
            checkout.dbapi_connection.interrupt()
            time.sleep(INTERRUPT_GRACE)
            if not checkout.is_returned and (connection := checkout.connection()) is not None:
                connection.invalidate()
            return
        checkout.dbapi_connection.killed_by_operator = True
        # Not closed here: the thread that waits for the reply would keep waiting. The server ends its wait.
        with self._lanes.console.engine.connect() as console:
            console.execute(text("KILL CONNECTION :number"), {"number": number})

    def _drain(self, command: JsonObject) -> str:
        # For Gunicorn: finish the present requests, and end. The master starts another worker.
        os.kill(os.getpid(), signal.SIGTERM)
        return f"Process {os.getpid()} finishes its requests and ends; another one takes its place."


def _differs(since: float, seen: Any) -> bool:
    return abs(since - float(seen)) > SAME_CHECKOUT_TOLERANCE
