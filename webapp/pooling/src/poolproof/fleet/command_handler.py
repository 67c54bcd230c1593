"""What an operator may ask of a running process, carried out on its lanes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from sqlalchemy import text

from poolproof import event_log
from poolproof.fleet import process_snapshot
from poolproof.fleet.commands import CommandError
from poolproof.lanes import Lanes, fair_pools
from poolproof.leaks import call_site
from poolproof.leaks.checkouts import Checkout
from poolproof.runtime.files import JsonObject

SAME_CHECKOUT_TOLERANCE, INTERRUPT_GRACE = 1e-4, 0.2
"""Seconds."""


class CommandHandler:
    """Does what it is asked with the lanes of this process."""

    def __init__(self, lanes: Lanes) -> None:
        """Know the sizes that the settings gave; they hold again when an order is taken back."""
        self._lanes = lanes
        self._configured_sizes = {lane.name: pool.size() for lane, pool in fair_pools(lanes)}

    def execute(self, command: JsonObject) -> str:
        """Carry out an order; return what came of it.

        Raises:
            CommandError: when it cannot be carried out, with the reason.
        """
        deeds: dict[str, Callable[[JsonObject], str]] = {"end": self._end_checkout, "drain": self._drain}
        deed = deeds.get(str(command.get("deed")))
        if deed is None:
            raise CommandError(f"This process does not know how to {command.get('deed')}.")
        return deed(command)

    def apply_overrides(self, overrides: JsonObject) -> None:
        """Make the standing orders true: sizes of lanes, and which of them are paused."""
        for lane, pool in fair_pools(self._lanes):
            size = int(overrides.get("sizes", {}).get(lane.name, self._configured_sizes[lane.name]))
            if size != pool.size():
                event_log.record("resize", f"The {lane.name} lane has {size} connections now; it had {pool.size()}.")
                pool.resize(size)
            is_paused = lane.name in overrides.get("paused", ())
            if is_paused != pool.is_suspended:
                event_log.record("pause", f"The {lane.name} lane {'is paused' if is_paused else 'goes on'}.")
                (pool.suspend if is_paused else pool.resume)()

    def _end_checkout(self, command: JsonObject) -> str:
        number = int(command["connection"])
        hold = process_snapshot.find_checkout(self._lanes, number)
        # Lent again since the operator looked, it is somebody else's.
        if hold is None or abs(hold.since - float(command.get("since", hold.since))) > SAME_CHECKOUT_TOLERANCE:
            raise CommandError(f"Connection {number} is back in its pool already.")
        who = f"connection {number} of {hold.request.name or hold.thread.name}, borrowed at {call_site.format_site(hold.stack)}"
        event_log.record("ended", f"An operator has ended {who}.", site=call_site.format_site(hold.stack))
        if hold.is_statement_running():
            self._end_statement(hold, number)
        elif (connection := hold.connection()) is not None:
            # Closed, and its place in the pool is free at once; whoever holds it gets an error at the next statement.
            connection.invalidate()
        return f"Ended {who}."

    def _end_statement(self, checkout: Checkout, number: int) -> None:
        if hasattr(checkout.dbapi_connection, "interrupt"):
            # SQLite: whether a statement runs is not known; a holder that is idle does not notice.
            checkout.dbapi_connection.interrupt()
            time.sleep(INTERRUPT_GRACE)
            if not checkout.is_returned and (connection := checkout.connection()) is not None:
                connection.invalidate()
            return
        checkout.dbapi_connection.killed_by_operator = True
        # Not closed here: the thread that waits for its answer would go on waiting; so the server tells it.
        with self._lanes.console.engine.connect() as own:
            own.execute(text("KILL CONNECTION :number"), {"number": number})

    def _drain(self, command: JsonObject) -> str:
        # Gunicorn's word for: finish what you do, and end. The master starts another worker.
        os.kill(os.getpid(), signal.SIGTERM)
        return f"Process {os.getpid()} finishes its requests and ends; another one takes its place."
