"""The errors of the connection layer, in sentences an operator can act on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeoutError


class PoolConfigurationError(ValueError):
    """A setting that makes no sense, or cannot work with this database; the text says why and what to set."""


class PoolUsageError(Exception):
    """The application uses a unit of work for what it does not allow."""


class PoolTimeoutError(SQLAlchemyTimeoutError):
    """No connection in time; the text gives the pool's state and what to do."""


class PoolShedError(PoolTimeoutError):
    """Rejected before the time-out, because every wait has been too long for a while."""


class PoolQueueFullError(PoolTimeoutError):
    """Rejected at once, because `max_waiting` callers wait already."""


class ThreadShareFullError(PoolTimeoutError):
    """Rejected at once, because as many requests as may occupy their threads for long do so already."""


class PoolStatus(Protocol):
    """What `exhausted_message` needs to know of a pool."""

    describe_holders: Callable[[], str]

    def checkedout(self) -> int: ...  # noqa: D102
    def waiting(self) -> int: ...  # noqa: D102
    def oldest_wait(self) -> float: ...  # noqa: D102


def exhausted_message(detail: str, limit: float, pool: PoolStatus) -> str:
    """Return the text of an error about an exhausted pool: what happened, its state, its checkouts, the remedies."""
    holders = pool.describe_holders()
    return (
        f"QueuePool limit of {limit:g} connections reached: {detail}. {pool.checkedout()} are in use, "
        f"{pool.waiting()} threads wait, the first for {pool.oldest_wait():.2f} s. {holders}{' ' if holders else ''}"
        "Hold connections shorter (none while rendering or calling out), raise the pool's size within "
        "max_connections, or take fewer requests at once."
    )
