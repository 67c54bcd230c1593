"""All checkouts of an engine: recorded when a connection is lent, forgotten when it is back."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, PoolResetState

from poolproof.leaks.checkouts import Checkout, current_request, thread_state
from poolproof.leaks.statement_activity import ACTIVITY
from poolproof.runtime import fork

MAX_HOLDERS_SHOWN = 5
"""How many checkouts an error names: the longest ones."""
MAX_STATEMENT_LENGTH = 500
"""Characters of a statement that are kept: one that inserts many rows repeats itself for each."""
_CHECKOUT_KEY = "poolproof_hold"


def _ignore(checkout: Checkout) -> None:
    """Do nothing; the default of a registry's callbacks."""


class CheckoutRegistry:
    """All checkouts of one engine."""

    def __init__(self, name: str) -> None:
        """Begin with none; `name` is the lane's."""
        self.name = name
        self.on_nested: Callable[[Checkout], None] = _ignore
        """Called with a checkout whose request has others already, of this engine or another."""
        self.on_leak: Callable[[Checkout], None] = _ignore
        self.on_orphan: Callable[[Checkout], None] = _ignore
        self._live: dict[int, Checkout] = {}
        fork.track(self, fork.Phase.THREADS)

    def live(self) -> list[Checkout]:
        """Return all checkouts, the longest first."""
        return sorted(self._live.copy().values(), key=lambda checkout: checkout.since)

    def describe(self) -> str:
        """Describe the longest checkouts, for an error about a full pool."""
        longest = [checkout.describe() for checkout in self.live()[:MAX_HOLDERS_SHOWN]]
        return f"Held by: {'; '.join(longest)}." if longest else ""

    def record_checkout(
        self, dbapi_connection: Any, record: ConnectionPoolEntry, connection: PoolProxiedConnection
    ) -> None:
        """Record a checkout."""
        if id(record) in self._live:
            # A later listener has raised DisconnectionError: the same checkout begins anew with another connection.
            self.record_end(None, record)
        self._begin_checkout(dbapi_connection, record, weakref.ref(connection))

    def record_lent(self, record: Any) -> None:
        """Record a checkout; `record` is one of SQLAlchemy's, which refers to its proxy weakly."""
        self._begin_checkout(record.dbapi_connection, record, record.fairy_ref)

    def _begin_checkout(self, dbapi_connection: Any, record: Any, proxy: weakref.ref[PoolProxiedConnection]) -> None:
        request = current_request.get() or thread_state.checkouts
        info = record.info
        checkout = Checkout(self, request, proxy, dbapi_connection, info.get(ACTIVITY, dbapi_connection))
        if request.by_number:
            self.on_nested(checkout)
        request.by_number[checkout.number] = self._live[id(record)] = info[_CHECKOUT_KEY] = checkout

    def record_return(self, record: ConnectionPoolEntry, *, is_leaked: bool) -> None:
        """Record a return, of a leak where the garbage collector does it; in the place of two listeners."""
        checkout = self._live.pop(id(record), None)
        if checkout is None:
            return
        if is_leaked:
            self.on_leak(checkout)
        record.info.pop(_CHECKOUT_KEY, None)
        checkout.end()
        if checkout.is_ending:
            _close_ended(checkout, record)

    def record_checkin(self, dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
        """Record a return, also that of a connection that was lost meanwhile; close it if an operator ends it."""
        checkout = self.record_end(dbapi_connection, record)
        if checkout is not None and checkout.is_ending:
            _close_ended(checkout, record)

    def record_end(self, dbapi_connection: Any, record: ConnectionPoolEntry) -> Checkout | None:
        """Record that a checkout is over, by a return or because its connection is no longer the pool's; return it."""
        checkout = self._live.get(id(record))
        # The record of a detached connection may be checked out again by the time this event arrives.
        if checkout is not None and (dbapi_connection is None or checkout.dbapi_connection is dbapi_connection):
            self._live.pop(id(record), None)
            record.info.pop(_CHECKOUT_KEY, None)
            checkout.end()
            return checkout
        return None

    def record_reset(self, dbapi_connection: Any, record: ConnectionPoolEntry, state: PoolResetState) -> None:
        """Report a leak when it is the garbage collector that returns a connection."""
        proxy, checkout = getattr(record, "fairy_ref", None), self._live.get(id(record))
        if checkout is not None and proxy is not None and proxy() is None:
            self.on_leak(checkout)

    def reset_after_fork(self) -> None:
        """Forget every checkout: the threads that made them are the parent's."""
        for checkout in self._live.values():
            checkout.is_returned = True
            checkout.request.by_number.pop(checkout.number, None)
        self._live.clear()


def _close_ended(checkout: Checkout, record: ConnectionPoolEntry) -> None:
    checkout.wait_for_end()
    if checkout.is_ending:
        record.invalidate()


def follow(record: ConnectionPoolEntry, dbapi_connection: Any) -> None:
    """Let a checkout go on with another connection, which has taken the place of one that was lost."""
    if (checkout := record.info.get(_CHECKOUT_KEY)) is not None:
        checkout.replace_connection(dbapi_connection)


def track_checkouts(engine: Engine, name: str) -> CheckoutRegistry:
    """Record every checkout of `engine` with the request it is made for."""
    registry = CheckoutRegistry(name)
    if hasattr(engine.pool, "checkouts"):
        # A FairQueuePool, whose module needs this one.
        engine.pool.checkouts = registry
    else:
        event.listen(engine, "checkout", registry.record_checkout)
        # Before all others: one that raises must not keep the end of a checkout from being recorded.
        event.listen(engine, "checkin", registry.record_checkin, insert=True)
        event.listen(engine, "reset", registry.record_reset)
    event.listen(engine, "detach", registry.record_end, insert=True)

    @event.listens_for(engine, "before_cursor_execute")
    def record_statement(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        # With its placeholders: a value may be a secret.
        if (checkout := connection.info.get(_CHECKOUT_KEY)) is not None:
            checkout.statement = statement[:MAX_STATEMENT_LENGTH]

    return registry
