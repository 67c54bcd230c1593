"""A place in the pool and the connection in it, on the monotonic clock.

SQLAlchemy's own record takes the wall clock for ages, so a step of that clock renews every
connection or none; and it loses its place in the pool when a `checkin` listener raises. It
offers no hook for either, so its two private steps are named here and nowhere else.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Iterable
from math import frexp
from typing import Any

from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.pool.base import Pool, _ConnectionRecord

from poolproof.core.stats import BUCKET_OFFSET, PoolStatistics, SlotCounters

log = logging.getLogger(__name__)

LAST_USED_AT = "poolproof_last_used_at"
"""Key in `record.info`: when the connection last came back from use, on the monotonic clock."""

LIFETIME_JITTER = 0.25
"""Part of a connection's lifetime that is left to chance, so that equals do not expire together."""


class MonotonicRecord(_ConnectionRecord):
    """A record whose stamps are monotonic and whose place is never lost."""

    _soft_invalidate_time: float = 0
    _expires_at: float = math.inf

    def __init__(self, pool: Pool, statistics: PoolStatistics | None) -> None:
        """Connect at once."""
        self._own_pool = pool
        self._statistics = statistics
        self._checked_out_at = 0.0
        self.close_reason = "invalidated"
        self.counters: SlotCounters | None = statistics.acquire_counters() if statistics is not None else None
        try:
            super().__init__(pool)
        except BaseException:
            self._release_counters()
            raise

    def _ConnectionRecord__connect(self) -> None:  # noqa: N802 - SQLAlchemy's name, mangled
        began = time.monotonic()
        step: Any = super()
        step._ConnectionRecord__connect()
        self.starttime = time.monotonic()
        recycle = self._own_pool._recycle
        share = 1 - LIFETIME_JITTER * random.random()  # noqa: S311 - no secret
        self._expires_at = self.starttime + recycle * share if recycle > -1 else math.inf
        if self.counters is not None:
            self.counters.create_time.record(self.starttime - began)

    def _ConnectionRecord__close(self, *, terminate: bool = False) -> None:  # noqa: N802 - SQLAlchemy's name, mangled
        if self._statistics is not None:
            self._statistics.record_closed(self.close_reason)
        step: Any = super()
        try:
            step._ConnectionRecord__close(terminate=terminate)
        finally:
            if self.dbapi_connection is not None:
                # A `close` listener raised before it came to that; the server must not pay for it.
                connection, self.dbapi_connection = self.dbapi_connection, None
                self._own_pool._close_connection(connection, terminate=True)

    def is_expired(self) -> bool:
        """Say whether the connection has reached its age."""
        return time.monotonic() >= self._expires_at

    def get_connection(self) -> DBAPIConnection:
        """Return the connection, renewed when it is too old or was declared dead."""
        ledger = self.counters
        if ledger is not None:
            ledger.checkouts += 1
            self._checked_out_at = time.monotonic()
        connection = self.dbapi_connection
        if connection is not None:
            declared_dead = max(self._own_pool._invalidate_time, self._soft_invalidate_time)
            expires_at = self._expires_at
            if declared_dead <= self.starttime and (expires_at == math.inf or time.monotonic() < expires_at):
                return connection
            self.close_reason = "age" if declared_dead <= self.starttime else "invalidated"
            self._ConnectionRecord__close(terminate=True)
        self.info.clear()
        self._ConnectionRecord__connect()
        connection = self.dbapi_connection
        assert connection is not None  # noqa: S101 - connect raises or sets it
        return connection

    def invalidate(self, e: BaseException | None = None, soft: bool = False) -> None:  # noqa: FBT001, FBT002
        """Declare the connection dead, or with `soft` unfit for another checkout."""
        self.close_reason = "invalidated" if e is None else "lost"
        try:
            super().invalidate(e, soft)
        finally:
            if self.dbapi_connection is not None:
                self._soft_invalidate_time = time.monotonic()

    def checkin(self, _fairy_was_created: bool = True) -> None:  # noqa: FBT001, FBT002
        """Return to the pool, also when a listener raises on the way."""
        if self.fairy_ref is None and _fairy_was_created:
            super().checkin(_fairy_was_created)  # which warns of a second checkin and does nothing
            return
        holder, self.fairy_ref = self.fairy_ref, None
        pool, connection, ledger = self._own_pool, self.dbapi_connection, self.counters
        if ledger is not None:
            seconds = time.monotonic() - self._checked_out_at
            ledger.use_time_buckets[frexp(seconds + 1e-9)[1] + BUCKET_OFFSET] += 1
            ledger.use_time_total += seconds
        try:
            while self.finalize_callback:
                finalizer = self.finalize_callback.pop()
                if connection is not None:
                    finalizer(connection)
            if pool.dispatch.checkin:
                pool.dispatch.checkin(connection, self)
        except BaseException:
            # SQLAlchemy lets go only after a checkin that did not raise: another close would return the next one's.
            proxy: Any = holder() if holder is not None else None
            if proxy is not None:
                proxy._finalizer.detach()
                proxy.dbapi_connection = proxy._connection_record = None
            raise
        finally:
            pool._return_conn(self)

    def retire(self, reason: str) -> None:
        """Close the connection for good: the place is no more."""
        self.close_reason = reason
        try:
            self.close()
        finally:
            self._release_counters()

    def _release_counters(self) -> None:
        ledger, self.counters = self.counters, None
        if ledger is not None and self._statistics is not None:
            self._statistics.release_counters(ledger)


def last_used_at(record: ConnectionPoolEntry) -> float:
    """Return when a connection last came back from use, on the monotonic clock; 0.0 before the first use."""
    moment: float = record.info.get(LAST_USED_AT, 0.0)
    return moment


def close_all(records: Iterable[Any], reason: str) -> None:
    """Close connections whose places are free already; a listener that raises keeps none of them open."""
    for record in records:
        try:
            record.retire(reason)
        except Exception:
            log.exception("A listener raised while a connection was closed")
