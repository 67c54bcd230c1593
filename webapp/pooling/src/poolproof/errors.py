"""What the connection layer refuses, in sentences an operator can act on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeoutError


class PoolConfigurationError(ValueError):
    """A setting that cannot be meant, or cannot work with this database; the text says why and what to set."""


class PoolUsageError(Exception):
    """The application uses a unit of work for what it is not made for."""


class PoolTimeoutError(SQLAlchemyTimeoutError):
    """No connection in time; the text says the pool's state and what to do."""


class PoolShedError(PoolTimeoutError):
    """Turned away before the time-out, because the pool has been too slow for everybody for a while."""


class PoolQueueFullError(PoolTimeoutError):
    """So many wait already that waiting was not begun."""


class PoolStatus(Protocol):
    """What the sentence below wants to know of a pool."""

    describe_holders: Callable[[], str]

    def checkedout(self) -> int: ...  # noqa: D102
    def waiting(self) -> int: ...  # noqa: D102
    def oldest_wait(self) -> float: ...  # noqa: D102


def exhausted_message(detail: str, limit: float, pool: PoolStatus) -> str:
    """Return the sentence of a pool that cannot serve: what happened, its state, who holds what, what to do."""
    holders = pool.describe_holders()
    return (
        f"QueuePool limit of {limit:g} connections reached: {detail}. {pool.checkedout()} are in use, "
        f"{pool.waiting()} threads wait, the first for {pool.oldest_wait():.2f} s. {holders}{' ' if holders else ''}"
        "Hold connections shorter (none while rendering or calling out), raise the pool's size within "
        "max_connections, or take fewer requests at once."
    )
