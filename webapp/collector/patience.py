"""Going on when the database comes back."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from webapp.errors import BusyError
from webapp.pooling import driver
from webapp.pooling.errors import PoolTimeoutError

Result = TypeVar("Result")

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
AWAY_FOR = 600.0
"""Seconds that a database may be away while a run waits for it."""


def persistently(deed: Callable[[], Result], is_stopping: Callable[[], bool]) -> Result:
    """Do a deed that may be repeated, again while the database does not serve or others are in the way.

    Raises:
        SQLAlchemyError, BusyError: what it met last, after ten minutes or when there is no time left.
    """
    gives_up_at, pause = time.monotonic() + AWAY_FOR, FIRST_PAUSE
    while True:
        try:
            return deed()
        except (SQLAlchemyError, BusyError) as error:
            if not _passes(error) or time.monotonic() > gives_up_at or is_stopping():
                raise
            log.warning("The database does not serve just now, the collection waits for it: %s", error)
        time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, no secret
        pause = min(2 * pause, LONGEST_PAUSE)


def _passes(error: Exception) -> bool:
    return (
        isinstance(error, BusyError | PoolTimeoutError)
        or driver.is_away(error)
        or driver.is_lost(error)
        or driver.is_contention(error)
        or driver.is_out_of_capacity(error)
    )
