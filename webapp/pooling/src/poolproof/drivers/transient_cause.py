"""Why a statement may succeed when it is repeated unchanged."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy.exc import DBAPIError


class TransientCause(StrEnum):
    """Why a statement may succeed when it is repeated unchanged."""

    CONTENTION = "contention"
    """The server has rolled the transaction back in favour of another one."""
    CONNECTION_LOST = "connection lost"
    """The connection broke; a new one may do better. Whether a COMMIT under way took effect is not known."""
    TOO_MANY_CONNECTIONS = "too many connections"
    STORAGE = "storage"
    """The disk is full, or does not take what is written. What is read is not concerned."""
    UNAVAILABLE = "unavailable"
    """No server answers, or not in time, or it accepts no writes."""


UNAVAILABLE_CAUSES = {TransientCause.CONNECTION_LOST, TransientCause.UNAVAILABLE}


def original_error(error: BaseException) -> BaseException:
    """Return the driver's error in SQLAlchemy's."""
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
