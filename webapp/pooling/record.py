"""A place in the pool and the connection in it, on the monotonic clock.

SQLAlchemy's own record takes the wall clock for ages, so a step of that clock renews every
connection or none; and it loses its place in the pool when a `checkin` listener raises. It
offers no hook for either, so its two private steps are named here and nowhere else.
"""

from __future__ import annotations

import math
import random
import time
from typing import Any

from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool.base import Pool, _ConnectionRecord

JITTER = 0.25
"""Part of a connection's lifetime that is left to chance, so that equals do not expire together."""


class FairRecord(_ConnectionRecord):
    """A record whose stamps are monotonic and whose place is never lost."""

    _soft_invalidate_time: float = 0
    _expires_at: float = math.inf

    def __init__(self, pool: Pool) -> None:
        """Connect at once."""
        self._own_pool = pool
        super().__init__(pool)

    def _ConnectionRecord__connect(self) -> None:  # noqa: N802 - SQLAlchemy's name, mangled
        step: Any = super()
        step._ConnectionRecord__connect()  # noqa: SLF001
        self.starttime = time.monotonic()
        recycle = self._own_pool._recycle  # noqa: SLF001 - the pool's record is part of the pool
        share = 1 - JITTER * random.random()  # noqa: S311 - no secret
        self._expires_at = self.starttime + recycle * share if recycle > -1 else math.inf

    def get_connection(self) -> DBAPIConnection:
        """Return the connection, renewed when it is too old or was declared dead."""
        connection = self.dbapi_connection
        if connection is not None:
            declared_dead = max(self._own_pool._invalidate_time, self._soft_invalidate_time)  # noqa: SLF001
            expires_at = self._expires_at
            if declared_dead <= self.starttime and (expires_at == math.inf or time.monotonic() < expires_at):
                return connection
            step: Any = self
            step._ConnectionRecord__close(terminate=True)  # noqa: SLF001
        self.info.clear()
        self._ConnectionRecord__connect()
        connection = self.dbapi_connection
        assert connection is not None  # noqa: S101 - connect raises or sets it
        return connection

    def invalidate(self, e: BaseException | None = None, soft: bool = False) -> None:  # noqa: FBT001, FBT002
        """Declare the connection dead, or with `soft` unfit for another checkout."""
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
        self.fairy_ref = None
        pool, connection = self._own_pool, self.dbapi_connection
        try:
            while self.finalize_callback:
                finalizer = self.finalize_callback.pop()
                if connection is not None:
                    finalizer(connection)
            if pool.dispatch.checkin:
                pool.dispatch.checkin(connection, self)
        finally:
            pool._return_conn(self)  # noqa: SLF001
