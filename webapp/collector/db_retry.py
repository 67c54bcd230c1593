"""Going on when the database comes back."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from poolproof.drivers.mysql import errors as mysql_errors
from poolproof.errors import PoolTimeoutError
from webapp.errors import BusyError

Result = TypeVar("Result")

log = logging.getLogger(__name__)

INITIAL_BACKOFF = 0.1
MAX_BACKOFF = 5.0
OUTAGE_TIMEOUT = 600.0
"""Seconds that a database may be away while a run waits for it."""


def retry_on_db_errors(operation: Callable[[], Result], is_stopping: Callable[[], bool]) -> Result:
    """Do a deed that may be repeated, again while the database does not serve or others are in the way.

    Raises:
        SQLAlchemyError, BusyError: what it met last, after ten minutes or when there is no time left.
    """
    gives_up_at, pause = time.monotonic() + OUTAGE_TIMEOUT, INITIAL_BACKOFF
    while True:
        try:
            return operation()
        except (SQLAlchemyError, BusyError) as error:
            if not _is_transient(error) or time.monotonic() > gives_up_at or is_stopping():
                raise
            log.warning("The database does not serve just now, the collection waits for it: %s", error)
        time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, no secret
        pause = min(2 * pause, MAX_BACKOFF)


def _is_transient(error: Exception) -> bool:
    return (
        isinstance(error, BusyError | PoolTimeoutError)
        or mysql_errors.is_unavailable(error)
        or mysql_errors.is_connection_lost(error)
        or mysql_errors.is_contention(error)
        or mysql_errors.is_too_many_connections(error)
    )
