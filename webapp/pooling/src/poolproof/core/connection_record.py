"""A slot of the pool and the connection in it, on the monotonic clock.

SQLAlchemy's own record measures ages on the wall clock, so a step of that clock renews every connection or none; and it
loses its slot in the pool when a `checkin` listener raises. There is no hook for either.

**SQLAlchemy's private parts** are touched in this module, and by `queue_pool` on itself as a subclass; nowhere else.
tests/unit/poolproof/test_private_parts.py checks that each exists in the installed version and means this:

- `_ConnectionRecord__connect`, `_ConnectionRecord__close`: open and close the DBAPI connection of a record
- `_ConnectionRecord._soft_invalidate_time`: connections opened before are renewed at their next checkout
- `Pool._invalidate_time`: the same for every record of the pool
- `Pool._recycle`: the age in seconds at which a connection is renewed, -1 for never
- `Pool._close_connection(connection, terminate=)`: closes a DBAPI connection, with its `close` event
- `Pool._do_return_conn(record)`: gives a record back
- `_ConnectionFairy._checkout(pool)`: lends a connection; it is all that `Pool.connect` does
- `_ConnectionFairy._finalizer`, `._connection_record`: what returns a proxy's connection when it is collected
- by `FairQueuePool` on itself: `_do_get`, `_do_return_conn`, `_create_connection`, `_invalidate`, and the name of its
  logger, `_sqla_logger_namespace` (overridden);
  `_pre_ping`, `_orig_logging_name`, `_reset_on_return`, `_dialect` (copied by `recreate`)
"""

from __future__ import annotations

import logging
import math
import random
import sys
import time
from collections.abc import Callable, Iterable
from math import frexp
from typing import Any

from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection
from sqlalchemy.pool.base import Pool, _ConnectionFairy, _ConnectionRecord

from poolproof.core.stats import BUCKET_OFFSET, PoolStatistics, SlotCounters
from poolproof.drivers.connect_state import connect_in_progress
from poolproof.leaks.checkout_registry import follow
from poolproof.runtime import clock

log = logging.getLogger(__name__)

check_out = _ConnectionFairy._checkout

LAST_USED_AT = "poolproof_last_used_at"
"""Key in `record.info`: when the connection last came back from use, on the monotonic clock."""

LAST_ALIVE_AT = "poolproof_last_alive_at"
"""Key in `record.info`: when the connection was last known to be alive, by `clock.since_boot`."""

LIFETIME_JITTER = 0.25
"""Random part of a connection's lifetime, so that connections opened together do not expire together."""


class MonotonicRecord(_ConnectionRecord):
    """A record with monotonic time stamps, which never loses its slot."""

    _soft_invalidate_time: float = 0
    _expires_at: float = math.inf
    reclaim: Callable[[MonotonicRecord], None] | None = None
    """Takes the record back when it is collected although the pool counts a slot for it; None once it does not."""

    def __init__(self, pool: Pool, statistics: PoolStatistics | None) -> None:
        """Connect at once."""
        self._own_pool: Any = pool  # a FairQueuePool, whose module needs this one
        self._statistics = statistics
        self._checked_out_at = 0.0
        self.close_reason = "invalidated"
        self.counters: SlotCounters | None = statistics.acquire_counters() if statistics is not None else None
        try:
            super().__init__(pool)
        except BaseException:
            self._release_counters()
            raise

    def __del__(self) -> None:
        """Give the slot back where the record is lost on its way to a borrower, as by an exception in between."""
        if self.reclaim is not None and not sys.is_finalizing():
            self.reclaim(self)

    def _ConnectionRecord__connect(self) -> None:  # noqa: N802 - SQLAlchemy's name, mangled
        started_at = time.monotonic()
        parent: Any = super()
        # No call out of the request that borrows, which may hold a connection of another engine.
        with connect_in_progress():
            parent._ConnectionRecord__connect()
        self.starttime = time.monotonic()
        recycle = self._own_pool._recycle
        fraction = 1 - LIFETIME_JITTER * random.random()  # noqa: S311 - no secret
        # The server goes on counting while this machine sleeps.
        self._expires_at = clock.since_boot() + recycle * fraction if recycle > -1 else math.inf
        if self.counters is not None:
            self.counters.create_time.record(self.starttime - started_at)

    def _ConnectionRecord__close(self, *, terminate: bool = False) -> None:  # noqa: N802 - SQLAlchemy's name, mangled
        if self._statistics is not None:
            self._statistics.record_closed(self.close_reason)
        parent: Any = super()
        try:
            parent._ConnectionRecord__close(terminate=terminate)
        finally:
            # A `close` listener may have raised before the connection was closed; the server would keep its session.
            self._terminate()

    def _terminate(self) -> None:
        connection, self.dbapi_connection = self.dbapi_connection, None
        if connection is not None:
            self._own_pool._close_connection(connection, terminate=True)

    def is_expired(self) -> bool:
        """Say whether the connection has reached the end of its lifetime."""
        return clock.since_boot() >= self._expires_at

    def get_connection(self) -> DBAPIConnection:
        """Return the connection, renewed when it is too old or was invalidated."""
        counters = self.counters
        # With a proxy it is the same checkout: a listener has found the connection dead, and it is replaced.
        if counters is not None and self.fairy_ref is None:
            counters.checkouts += 1
            self._checked_out_at = time.monotonic()
        connection = self.dbapi_connection
        if connection is not None:
            pool, opened_at, expires_at = self._own_pool, self.starttime, self._expires_at
            is_valid = pool._invalidate_time <= opened_at and self._soft_invalidate_time <= opened_at
            if is_valid and (expires_at == math.inf or clock.since_boot() < expires_at):
                if pool.is_alive is None or pool.is_alive(connection, self):
                    return connection
                # As a listener's DisconnectionError would, with the event of it.
                self.invalidate(DisconnectionError("The connection was lost while it was idle."))
            else:
                self.close_reason = "age" if is_valid else "invalidated"
                self._ConnectionRecord__close(terminate=True)
        self.info.clear()
        self._ConnectionRecord__connect()
        connection = self.dbapi_connection
        assert connection is not None  # noqa: S101 - connect raises or sets it
        return connection

    def invalidate(self, e: BaseException | None = None, soft: bool = False) -> None:  # noqa: FBT001, FBT002
        """Close the connection; with `soft`, renew it at its next checkout instead."""
        self.close_reason = "invalidated" if e is None else "lost"
        try:
            super().invalidate(e, soft)
        except Exception:
            # SQLAlchemy would leave what it was doing, a return or a replacement, and the slot would be lost with it.
            log.exception("A listener raised while a connection was invalidated")
            if not soft:
                self._terminate()
        finally:
            if self.dbapi_connection is not None:
                self._soft_invalidate_time = time.monotonic()

    def checkin(self, _fairy_was_created: bool = True) -> None:  # noqa: FBT001, FBT002
        """Return to the pool, also when a listener raises on the way.

        The bucket is computed in line, as `stats.bucket_index` does: this runs once for every checkout.
        """
        if self.fairy_ref is None and _fairy_was_created:
            super().checkin(_fairy_was_created)  # which warns of a second checkin and does nothing
            return
        proxy_ref, self.fairy_ref = self.fairy_ref, None
        pool, connection, counters = self._own_pool, self.dbapi_connection, self.counters
        if counters is not None:
            seconds = time.monotonic() - self._checked_out_at
            counters.use_time_buckets[frexp(seconds + 1e-9)[1] + BUCKET_OFFSET] += 1
            counters.use_time_total += seconds
        try:
            if (registry := pool.checkouts) is not None:
                # Before all listeners: one that raises must not keep the end of a checkout from being recorded.
                self.info[LAST_USED_AT] = self.info[LAST_ALIVE_AT] = clock.since_boot()
                registry.record_return(self, is_leaked=proxy_ref is None or proxy_ref() is None)
                connection = self.dbapi_connection
            if self.finalize_callback:
                self._run_finalizers(connection)
            if pool.dispatch.checkin:
                pool.dispatch.checkin(connection, self)
        except BaseException:
            # SQLAlchemy detaches the proxy only after a checkin that did not raise. Left attached, a second close of
            # the proxy would return the connection of the next borrower.
            _detach_proxy(proxy_ref() if proxy_ref is not None else None)
            raise
        finally:
            pool._do_return_conn(self)

    def _run_finalizers(self, connection: DBAPIConnection | None) -> None:
        while self.finalize_callback:
            finalizer = self.finalize_callback.pop()
            if connection is not None:
                finalizer(connection)

    def replace_in_use(self, proxy: PoolProxiedConnection) -> Any:
        """Close a connection that is lost, and open another one in its place for the borrower who has `proxy`."""
        self.close_reason = "lost"
        self._ConnectionRecord__close(terminate=True)
        try:
            self._ConnectionRecord__connect()
        except BaseException:
            # Also where a connect succeeded and a listener raised: nobody may use it.
            self._terminate()
            raise
        connection: Any = self.dbapi_connection
        proxy.dbapi_connection = connection  # type: ignore[misc]
        follow(self, connection)
        return connection

    def retire(self, reason: str) -> None:
        """Close the connection for good: the slot is given up."""
        self.close_reason = reason
        self.reclaim = None
        try:
            self.close()
        finally:
            self._release_counters()

    def _release_counters(self) -> None:
        counters, self.counters = self.counters, None
        if counters is not None and self._statistics is not None:
            self._statistics.release_counters(counters)


def _detach_proxy(proxy: Any) -> None:
    if proxy is not None:
        # SQLAlchemy 2.0 has a callback of the weak reference instead, which is gone with it.
        if hasattr(type(proxy), "_finalizer"):
            proxy._finalizer.detach()
        proxy.dbapi_connection = proxy._connection_record = None


def record_of(proxy: Any) -> MonotonicRecord:
    """Return the record of a connection that is checked out of a FairQueuePool."""
    record: MonotonicRecord = proxy._connection_record
    return record


def invalidate_older_connections(pool: Pool) -> None:
    """Renew every connection of `pool` that is open now at its next checkout."""
    pool._invalidate_time = time.monotonic()


def set_recycle(pool: Pool, seconds: int) -> None:
    """Renew connections at this age from their next connect on; `recreate` keeps the value."""
    pool._recycle = seconds


def last_used_at(record: ConnectionPoolEntry) -> float:
    """Return when a connection last came back from use, on the monotonic clock; 0.0 before the first use."""
    used_at: float = record.info.get(LAST_USED_AT, 0.0)
    return used_at


def close_all(records: Iterable[MonotonicRecord], reason: str) -> None:
    """Close connections for good; what a listener raises, or an interruption, keeps none of the others open."""
    interruption: BaseException | None = None
    for record in records:
        try:
            record.retire(reason)
        except Exception:
            log.exception("A listener raised while a connection was closed")
        except BaseException as error:  # noqa: BLE001 - it is raised when all are closed
            interruption = interruption or error
    if interruption is not None:
        raise interruption
