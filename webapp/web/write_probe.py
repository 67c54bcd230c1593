"""Whether the database can store anything: a full disk refuses what is written, while reads go on as ever.

A process learns it from the errors of its own statements, and from then on each look tries to store as much as a busy
second does, until that succeeds. On SQLite, whose disk is the service's own, every look stores and removes one row, so
that all workers say the same.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, event, insert
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.exc import DBAPIError

from poolproof import event_log
from poolproof.drivers.errors import TransientCause, transient_cause
from poolproof.drivers.sqlite import BUSY_TIMEOUT
from poolproof.lanes import Lanes
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.messages import message
from webapp.web.rest.models import IdempotencyKey

CANNOT_STORE = message("The database cannot store anything just now.")
REMEDY = "Its disk is full, or does not take what is written: make room on it. Nothing has to be restarted."
INTERVAL = 1.0
"""Seconds for which an answer is given again."""
MANY_ROWS = 1000
"""More than fits the pages that are half empty, so that new ones are needed."""
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
"""The age of what is stored: a row that stays behind is removed with the keys that have expired."""
SQLITE_BUSY_TIMEOUT = 500
"""Milliseconds: where another connection is writing for so long, something can be stored."""


class WriteProbe:
    """Says whether the database of one app can store anything."""

    def __init__(self, work: UnitOfWork, lanes: Lanes) -> None:
        """Ask on `work`, whose waits should be short, and learn from the errors of all `lanes`."""
        self._work = work
        self._is_embedded = work.engine.dialect.name == "sqlite"
        self._has_failed = False
        self._reason: str | None = None
        self._checked_at = -INTERVAL
        # Guards what is known between two looks: several readers of /readyz are one look.
        self._lock = threading.Lock()
        for lane in lanes:
            event.listen(lane.engine, "handle_error", self._learn)

    def check(self) -> str | None:
        """Return None where something can be stored, as far as this process knows; otherwise one sentence."""
        with self._lock:
            if time.monotonic() - self._checked_at >= INTERVAL:
                self._reason = self._probe_writes()
                self._checked_at = time.monotonic()
            return self._reason

    def _learn(self, context: ExceptionContext) -> None:
        error = context.original_exception
        if transient_cause(error) is TransientCause.STORAGE and not self._has_failed:
            self._has_failed = True
            # The next look is a real one, whatever was known before.
            self._checked_at = -INTERVAL
            event_log.record_throttled("storage", f"{CANNOT_STORE} {REMEDY}")

    def _probe_writes(self) -> str | None:
        if not self._has_failed and not self._is_embedded:
            return None
        count = MANY_ROWS if self._has_failed else 1
        try:
            self._store_and_remove(count)
        except DBAPIError as error:
            cause = transient_cause(error)
            # What another transaction is in the way of, or an operator has cut off, says nothing about the disk.
            return None if cause is TransientCause.CONTENTION else CANNOT_STORE
        self._has_failed = False
        return None

    def _store_and_remove(self, count: int) -> None:
        rows = [{"digest": secrets.token_bytes(32), "body": b"", "used_at": LONG_AGO} for _ in range(count)]
        with self._transaction() as connection:
            connection.execute(insert(IdempotencyKey), rows)
        # In a transaction of its own: pages that are freed before the commit are not written.
        with self._transaction() as connection:
            connection.execute(delete(IdempotencyKey).where(IdempotencyKey.used_at == LONG_AGO))

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._work.transaction() as connection:
            if not self._is_embedded:
                yield connection
                return
            dbapi_connection: Any = connection.connection.dbapi_connection
            dbapi_connection.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_TIMEOUT}")
            try:
                yield connection
            finally:
                dbapi_connection.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT * 1000)}")
