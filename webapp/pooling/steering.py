"""What an operator may ask of a running process, carried out on its lanes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from sqlalchemy import text

from webapp.pooling import events, reporting, stacks
from webapp.pooling.fleet import Tree
from webapp.pooling.holds import Hold
from webapp.pooling.lanes import Lanes, fair_pools
from webapp.pooling.orders import OrderError

SAME, UNTIL_IT_NOTICES = 1e-4, 0.2
"""Seconds."""


class Steering:
    """Does what it is asked with the lanes of this process."""

    def __init__(self, lanes: Lanes) -> None:
        """Know the sizes that the settings gave; they hold again when an order is taken back."""
        self._lanes = lanes
        self._sizes = {lane.name: pool.size() for lane, pool in fair_pools(lanes)}

    def obey(self, order: Tree) -> str:
        """Carry out an order; return what came of it.

        Raises:
            OrderError: when it cannot be carried out, with the reason.
        """
        deeds: dict[str, Callable[[Tree], str]] = {"end": self._end, "drain": self._drain}
        deed = deeds.get(str(order.get("deed")))
        if deed is None:
            raise OrderError(f"This process does not know how to {order.get('deed')}.")
        return deed(order)

    def stand(self, orders: Tree) -> None:
        """Make the standing orders true: sizes of lanes, and which of them are paused."""
        for lane, pool in fair_pools(self._lanes):
            size = int(orders.get("sizes", {}).get(lane.name, self._sizes[lane.name]))
            if size != pool.size():
                events.note("resize", f"The {lane.name} lane has {size} connections now; it had {pool.size()}.")
                pool.resize(size)
            is_paused = lane.name in orders.get("paused", ())
            if is_paused != pool.is_paused:
                events.note("pause", f"The {lane.name} lane {'is paused' if is_paused else 'goes on'}.")
                pool.pause(is_paused=is_paused)

    def _end(self, order: Tree) -> str:
        number = int(order["connection"])
        hold = reporting.find_hold(self._lanes, number)
        # Lent again since the operator looked, it is somebody else's.
        if hold is None or abs(hold.since - float(order.get("since", hold.since))) > SAME:
            raise OrderError(f"Connection {number} is back in its pool already.")
        who = f"connection {number} of {hold.request.name or hold.thread.name}, borrowed at {stacks.place(hold.stack)}"
        events.note("ended", f"An operator has ended {who}.", place=stacks.place(hold.stack))
        if hold.statement_runs():
            self._end_statement(hold, number)
        elif (connection := hold.connection()) is not None:
            # Closed, and its place in the pool is free at once; whoever holds it gets an error at the next statement.
            connection.invalidate()
        return f"Ended {who}."

    def _end_statement(self, hold: Hold, number: int) -> None:
        if hasattr(hold.taken, "interrupt"):
            # SQLite: whether a statement runs is not known; a holder that is idle does not notice.
            hold.taken.interrupt()
            time.sleep(UNTIL_IT_NOTICES)
            if not hold.is_over and (connection := hold.connection()) is not None:
                connection.invalidate()
            return
        hold.taken.is_condemned = True
        # Not closed here: the thread that waits for its answer would go on waiting; so the server tells it.
        with self._lanes.console.engine.connect() as own:
            own.execute(text("KILL CONNECTION :number"), {"number": number})

    def _drain(self, order: Tree) -> str:
        # Gunicorn's word for: finish what you do, and end. The master starts another worker.
        os.kill(os.getpid(), signal.SIGTERM)
        return f"Process {os.getpid()} finishes its requests and ends; another one takes its place."
