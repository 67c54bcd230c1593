"""Repeats what a collection does while the database does not serve."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from poolproof.drivers.errors import is_transient
from poolproof.errors import PoolTimeoutError
from poolproof.runtime.backoff import Backoff
from webapp.errors import BusyError

Result = TypeVar("Result")

log = logging.getLogger(__name__)

INITIAL_BACKOFF = 0.1
MAX_BACKOFF = 5.0
OUTAGE_TIMEOUT = 600.0
"""Seconds that a database may be away while a run waits for it."""


def retry_on_db_errors(operation: Callable[[], Result], is_stopping: Callable[[], bool]) -> Result:
    """Run an idempotent operation, and repeat it while the database is unavailable or locks are contended.

    Raises:
        SQLAlchemyError, BusyError: the last error, after ten minutes or when the run is to stop.
    """
    gives_up_at, backoff = time.monotonic() + OUTAGE_TIMEOUT, Backoff(INITIAL_BACKOFF, MAX_BACKOFF)
    while True:
        try:
            return operation()
        except (SQLAlchemyError, BusyError) as error:
            if not _is_retryable(error) or time.monotonic() > gives_up_at or is_stopping():
                raise
            log.warning("The database does not serve just now, the collection waits for it: %s", error)
        backoff.sleep()


def _is_retryable(error: Exception) -> bool:
    # Every transient cause: no one waits for a collection, so it outlasts what a request reports at once.
    return isinstance(error, BusyError | PoolTimeoutError) or is_transient(error)
