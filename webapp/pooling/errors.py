"""What the connection layer refuses, in sentences an operator can act on."""

from __future__ import annotations

from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeoutError


class PoolConfigurationError(Exception):
    """A setting that cannot work with this database; the text says why and what to set."""


class PoolTimeoutError(SQLAlchemyTimeoutError):
    """No connection in time; the text says the pool's state and what to do."""


class PoolFullError(PoolTimeoutError):
    """So many wait already that waiting was not begun."""
