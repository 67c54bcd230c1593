"""What the connection layer refuses, in sentences an operator can act on."""

from __future__ import annotations

from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeoutError


class PoolConfigurationError(Exception):
    """A setting that cannot work with this database; the text says why and what to set."""


class PoolUsageError(Exception):
    """The application uses a unit of work for what it is not made for."""


class PoolTimeoutError(SQLAlchemyTimeoutError):
    """No connection in time; the text says the pool's state and what to do."""


class PoolShedError(PoolTimeoutError):
    """Turned away before the time-out, because the pool has been too slow for everybody for a while."""


class PoolFullError(PoolTimeoutError):
    """So many wait already that waiting was not begun."""


def full_pool(trouble: str, limit: float, *, in_use: int, waiting: int, oldest: float) -> str:
    """Return the sentence of a pool that cannot serve: what happened, its state, what to do; `oldest` in seconds."""
    return (
        f"QueuePool limit of {limit:g} connections reached: {trouble}. {in_use} are in use, "
        f"{waiting} threads wait, the first for {oldest:.2f} s. Hold connections shorter (none while rendering "
        "or calling out), raise the pool's size within max_connections, or take fewer requests at once."
    )
