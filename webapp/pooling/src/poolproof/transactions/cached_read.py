"""One read for all who ask at once: a value that is read again after a while, by one of them."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from sqlalchemy.exc import SQLAlchemyError

log = logging.getLogger(__name__)

Value = TypeVar("Value")

RETRY_INTERVAL = 1.0
"""Seconds between attempts while the read fails and an older value is there to serve."""


class SingleFlightCache(Generic[Value]):
    """Keeps what `load` returns.

    Whoever asks first after `good_for` seconds reads it anew; the others get the present value
    meanwhile and wait only while there is none. A read that fails for want of a database
    leaves the present value in use: old is better than nothing.
    """

    def __init__(self, load: Callable[[], Value], ttl: float) -> None:
        """Read nothing yet; `good_for` in seconds."""
        self._load = load
        self._ttl = ttl
        self._lock = threading.Lock()
        self._value: list[Value] = []
        self._expires_at = 0.0
        _instances.add(self)

    def get(self) -> Value:
        """Return the value, at most `good_for` seconds old and a read's time more while there is a database.

        Raises:
            SQLAlchemyError: what the first read raised.
        """
        value = self._value
        if value and time.monotonic() < self._expires_at:
            return value[0]
        # Who comes second has an older value, or must wait for the first.
        if not self._lock.acquire(blocking=not value):
            return value[0]
        try:
            if not self._value or time.monotonic() >= self._expires_at:
                self._refresh()
            return self._value[0]
        finally:
            self._lock.release()

    def peek(self) -> Value | None:
        """Return the value if it is good without a read, otherwise None."""
        value = self._value
        return value[0] if value and time.monotonic() < self._expires_at else None

    def stale(self) -> Value | None:
        """Return what was read last, however old; None before the first read."""
        value = self._value
        return value[0] if value else None

    def invalidate(self) -> None:
        """Let the next who asks read it anew, and everybody else wait for that."""
        self._value = []

    def reset_after_fork(self) -> None:
        """Begin with a free lock; for a child of fork, where nobody else would let go of it."""
        self._lock = threading.Lock()

    def _refresh(self) -> None:
        try:
            loaded = self._load()
        except SQLAlchemyError as error:
            if not self._value:
                raise
            log.warning("Going on with what was read before, the database does not serve: %s", error)
            self._expires_at = time.monotonic() + RETRY_INTERVAL
            return
        self._value = [loaded]
        self._expires_at = time.monotonic() + self._ttl


_instances: weakref.WeakSet[SingleFlightCache[Any]] = weakref.WeakSet()


def _reset_all_after_fork() -> None:
    for shared in list(_instances):
        shared.reset_after_fork()


os.register_at_fork(after_in_child=_reset_all_after_fork)
