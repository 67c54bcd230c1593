"""A cached value that one caller at a time refreshes: concurrent callers share one read of the database."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from sqlalchemy.exc import SQLAlchemyError

from poolproof.runtime import fork

log = logging.getLogger(__name__)

Value = TypeVar("Value")

RETRY_INTERVAL = 1.0
"""Seconds between attempts while the read fails and an older value is there to serve."""


@dataclass(frozen=True)
class _Snapshot(Generic[Value]):
    value: Value
    expires_at: float


class SingleFlightCache(Generic[Value]):
    """Keeps what `load` returns for `ttl` seconds.

    The first caller after that refreshes the value; the others get the present one meanwhile, and wait only while
    there is none. A refresh that fails because the database does not serve leaves the present value in use.
    """

    def __init__(self, load: Callable[[], Value], ttl: float) -> None:
        """Read nothing yet; `ttl` in seconds."""
        self._load = load
        self._ttl = ttl
        # Held by the one caller that reads; the others return the older value, or wait for the first one.
        self._reading = threading.Lock()
        # Guards the exchange of the value against an `invalidate` during a read; held for moments.
        self._lock = threading.Lock()
        # The value and its expiry are exchanged as one, so that nobody sees one of them with an older other.
        self._snapshot: _Snapshot[Value] | None = None
        self._invalidations = 0
        fork.track(self, fork.Phase.LOCKS)

    def get(self) -> Value:
        """Return the value, at most `ttl` seconds and the time of one read old, as long as the database serves.

        Raises:
            SQLAlchemyError: what the first read raised.
        """
        snapshot = self._snapshot
        if snapshot is not None and time.monotonic() < snapshot.expires_at:
            return snapshot.value
        if not self._reading.acquire(blocking=snapshot is None):
            # Only where there is an older value.
            return cast("_Snapshot[Value]", snapshot).value
        try:
            snapshot = self._snapshot
            if snapshot is not None and time.monotonic() < snapshot.expires_at:
                return snapshot.value
            return self._refresh()
        finally:
            self._reading.release()

    def peek(self) -> Value | None:
        """Return the value if it is within its ttl, otherwise None; never reads."""
        snapshot = self._snapshot
        return snapshot.value if snapshot is not None and time.monotonic() < snapshot.expires_at else None

    def stale(self) -> Value | None:
        """Return the value read last, however old; None before the first read."""
        snapshot = self._snapshot
        return None if snapshot is None else snapshot.value

    def invalidate(self) -> None:
        """Drop the value: the next caller reads it anew, and all others wait for that.

        What a read that is under way returns may be older than this call: it is given to its caller and not kept.
        """
        with self._lock:
            self._invalidations += 1
            self._snapshot = None

    def reset_after_fork(self) -> None:
        """Replace the locks, which a thread of the parent may have held at the fork."""
        self._reading, self._lock = threading.Lock(), threading.Lock()

    def _refresh(self) -> Value:
        invalidations, older = self._invalidations, self._snapshot
        try:
            value, ttl = self._load(), self._ttl
        except SQLAlchemyError as error:
            if older is None:
                raise
            log.warning("Going on with what was read before, the database does not serve: %s", error)
            value, ttl = older.value, RETRY_INTERVAL
        with self._lock:
            if self._invalidations == invalidations:
                self._snapshot = _Snapshot(value, time.monotonic() + ttl)
        return value
