"""A cached value that one caller at a time refreshes: concurrent callers share one read of the database."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from poolproof.runtime import fork

log = logging.getLogger(__name__)

Value = TypeVar("Value")

RETRY_INTERVAL = 1.0
"""Seconds between attempts while the read fails and an older value is there to serve."""


class SingleFlightCache(Generic[Value]):
    """Keeps what `load` returns for `ttl` seconds.

    The first caller after that refreshes the value; the others get the present one meanwhile, and wait only while
    there is none. A refresh that fails because the database does not serve leaves the present value in use.
    """

    def __init__(self, load: Callable[[], Value], ttl: float) -> None:
        """Read nothing yet; `ttl` in seconds."""
        self._load = load
        self._ttl = ttl
        self._lock = threading.Lock()
        self._value: list[Value] = []
        self._expires_at = 0.0
        fork.track(self, fork.Phase.LOCKS)

    def get(self) -> Value:
        """Return the value, at most `ttl` seconds and the time of one read old, as long as the database serves.

        Raises:
            SQLAlchemyError: what the first read raised.
        """
        value = self._value
        if value and time.monotonic() < self._expires_at:
            return value[0]
        # The lock makes one caller the reader. The others return the older value, or wait for the first one.
        if not self._lock.acquire(blocking=not value):
            return value[0]
        try:
            if not self._value or time.monotonic() >= self._expires_at:
                self._refresh()
            return self._value[0]
        finally:
            self._lock.release()

    def peek(self) -> Value | None:
        """Return the value if it is within its ttl, otherwise None; never reads."""
        value = self._value
        return value[0] if value and time.monotonic() < self._expires_at else None

    def stale(self) -> Value | None:
        """Return the value read last, however old; None before the first read."""
        value = self._value
        return value[0] if value else None

    def invalidate(self) -> None:
        """Drop the value: the next caller reads it anew, and all others wait for that."""
        self._value = []

    def reset_after_fork(self) -> None:
        """Replace the lock, which a thread of the parent may have held at the fork."""
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
