"""Wrong passwords: how long the next sign-in under a name has to wait.

The failures are counted in the database, for all workers, by the name that was given, whether or not there is such a
user, and never by address: a whole school may share one. A device that has signed in before is counted for itself (see
`devices`), so that guessing a user's password does not lock the user out.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from dataclasses import dataclass, field

from sqlalchemy import Connection, Table, bindparam, delete, func, literal, select

from webapp.accounts.models import SignInFailure
from webapp.db.timestamps import seconds_ago, utc_now
from webapp.db.types import Sha256
from webapp.db.upsert import upsert_from
from webapp.errors import SignInThrottledError

FREE_FAILURES = 5
"""After so many failures in a row the next sign-in has to wait."""
MAX_DELAY = 60.0
"""Seconds; the delay doubles from one second up to this."""
FORGET_AFTER = 15 * 60
"""Seconds without a failure after which the count begins anew."""
MAX_REMEMBERED = 10_000
"""Names whose delay a worker remembers, so that it refuses without the database; a hundred bytes each."""

_failure: Table = SignInFailure.__table__  # type: ignore[assignment]


def key_of_name(name: str) -> bytes:
    """Return the key under which failures with this name are counted."""
    return hashlib.sha256(b"name:" + name.casefold().encode()).digest()


def key_of_device(device_id: str) -> bytes:
    """Return the key under which failures on this device are counted."""
    return hashlib.sha256(b"device:" + device_id.encode()).digest()


def delay_after(failures: int) -> float:
    """Return how many seconds the next sign-in has to wait after so many failures in a row."""
    return 0.0 if failures < FREE_FAILURES else min(2.0 ** (failures - FREE_FAILURES), MAX_DELAY)


def count_failures(connection: Connection, key: bytes) -> tuple[int, float]:
    """Return how many sign-ins have failed in a row, and how many seconds the next one still has to wait."""
    recent = _failure.c.last_failed_at >= seconds_ago(bindparam("forget_after"))
    row = connection.execute(
        select(_failure.c.failures, _failure.c.last_failed_at, utc_now().label("now")).where(
            _failure.c.key == key, recent
        ),
        {"forget_after": FORGET_AFTER},
    ).one_or_none()
    if row is None:
        return 0, 0.0
    return row.failures, max(0.0, delay_after(row.failures) - (row.now - row.last_failed_at).total_seconds())


def record_failure(connection: Connection, key: bytes) -> None:
    """Count a failure, and forget those of others that are long past."""
    connection.execute(
        delete(SignInFailure).where(SignInFailure.last_failed_at < seconds_ago(bindparam("forget_after"))),
        {"forget_after": FORGET_AFTER},
    )
    before = select(_failure.c.failures).where(_failure.c.key == key).scalar_subquery()
    row = select(literal(key, Sha256), func.coalesce(before, 0) + 1, utc_now()).where(literal(1) == 1)
    columns = ["key", "failures", "last_failed_at"]
    upsert_from(connection, _failure, columns, row, key=["key"], replace=["failures", "last_failed_at"])


def forget_failures(connection: Connection, key: bytes) -> None:
    """Begin to count anew, after a right password."""
    connection.execute(delete(SignInFailure).where(SignInFailure.key == key))


@dataclass
class ThrottledKeys:
    """The keys that this worker has to refuse for a while, in memory: a flood of guesses costs no statements."""

    _retry_at: dict[bytes, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self, key: bytes) -> None:
        """Refuse a sign-in whose time has not come.

        Raises:
            SignInThrottledError: with the seconds that remain.
        """
        remaining = self._retry_at.get(key, -math.inf) - time.monotonic()
        if remaining > 0:
            raise SignInThrottledError(remaining)

    def refuse(self, key: bytes, seconds: float) -> None:
        """Refuse sign-ins with this key for so long."""
        now = time.monotonic()
        # The lock keeps two threads from removing while one of them iterates.
        with self._lock:
            if len(self._retry_at) >= MAX_REMEMBERED:
                self._retry_at = {each: until for each, until in self._retry_at.items() if until > now}
            if len(self._retry_at) < MAX_REMEMBERED:
                self._retry_at[key] = now + seconds

    def forget(self, key: bytes) -> None:
        """Let sign-ins with this key pass again."""
        self._retry_at.pop(key, None)
