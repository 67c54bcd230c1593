"""A bound for each wait for the server: neither psycopg nor libpq has one.

A server that is frozen, or a machine that is gone, keeps a thread waiting in libpq as long as TCP does. So each
connection says until when a reply is due, and one thread of the process breaks the connections whose reply is overdue:
the thread that waits gets an error at once.
"""

from __future__ import annotations

import math
import os
import socket
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from poolproof.runtime import fork
from poolproof.runtime.periodic_thread import PeriodicThread

MAX_PAUSE = 60.0
"""Seconds between two looks when no reply is due earlier."""


class Awaiting(Protocol):
    """A connection whose reply may be overdue."""

    reply_due_at: float | None

    def break_off(self) -> None: ...  # noqa: D102


class ReplyTimeouts:
    """Breaks off the connections of this process whose reply is overdue."""

    def __init__(self) -> None:
        """Watch none yet."""
        self._connections: dict[int, weakref.ref[Awaiting]] = {}
        """Never replaced, and changed by single steps: connections come and go in any thread."""
        self._next_look_at = math.inf
        self._thread = PeriodicThread("poolproof-reply-timeouts", self.look)
        fork.track(self, fork.Phase.THREADS)

    def add(self, connection: Awaiting) -> None:
        """Watch a connection for as long as it exists."""
        key = id(connection)
        self._connections[key] = weakref.ref(connection, lambda _: self._connections.pop(key, None))

    def await_reply(self, connection: Awaiting, seconds: float) -> None:
        """Begin a wait; it ends where `reply_due_at` becomes None."""
        due_at = connection.reply_due_at = time.monotonic() + seconds
        if due_at < self._next_look_at:
            self._thread.wake()

    def look(self) -> float:
        """Break off what is overdue; return in how many seconds to look again."""
        # Set first: a wait that begins while this goes on ends the pause that follows.
        self._next_look_at = math.inf
        now = time.monotonic()
        next_look_at = now + MAX_PAUSE
        for reference in self._connections.copy().values():
            connection = reference()
            due_at = connection.reply_due_at if connection is not None else None
            if connection is None or due_at is None:
                continue
            if due_at <= now:
                connection.break_off()
            else:
                next_look_at = min(next_look_at, due_at)
        self._next_look_at = next_look_at
        return next_look_at - now

    def stop(self) -> None:
        """End the thread; the next wait starts it again."""
        self._thread.stop()
        self._next_look_at = math.inf

    def reset_after_fork(self) -> None:
        """Forget the parent's connections."""
        self._connections.clear()
        self._next_look_at = math.inf


reply_timeouts = ReplyTimeouts()


class _Wait:
    """One wait on a connection that is none of ours."""

    def __init__(self, connection: Any) -> None:
        self.reply_due_at: float | None = None
        self._connection = connection

    def break_off(self) -> None:
        self.reply_due_at = None
        shut_down(self._connection)


@contextmanager
def bounded(connection: Any, seconds: float) -> Iterator[None]:
    """Break a connection, one of either driver and of any class, where the block lasts longer than so many seconds."""
    wait = _Wait(connection)
    reply_timeouts.add(wait)
    reply_timeouts.await_reply(wait, seconds)
    try:
        yield
    finally:
        wait.reply_due_at = None


def shut_down(connection: Any) -> None:
    """Break a connection, from any thread: whoever waits for the server gets an error at once."""
    with suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as copy:
        copy.shutdown(socket.SHUT_RDWR)
