"""Is the database there? Asked on a connection that does not wait behind the others."""

from __future__ import annotations

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from webapp.pooling.settings import PoolSettings

ANSWER_WITHIN = 1.0
STEP = ANSWER_WITHIN / 3
"""Seconds for each of: waiting for the probe's connection, reaching the server, its answer."""


def probe_settings(settings: PoolSettings) -> PoolSettings:
    """Return the settings of a pool of one connection that never waits long."""
    return settings.model_copy(
        update={
            "size": 1,
            "overflow": 0,
            "timeout": STEP,
            "connect_timeout": STEP,
            "read_timeout": STEP,
            "write_timeout": STEP,
            "statement_timeout": STEP,
        }
    )


class Probe:
    """Asks the smallest question there is."""

    def __init__(self, engine: Engine) -> None:
        """Ask on `engine`, which belongs to the probe alone."""
        self.engine = engine

    def trouble(self) -> str | None:
        """Return None when the database answers, otherwise one sentence that says what is wrong."""
        try:
            with self.engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            return f"The database does not answer: {type(error).__name__}."
        return None
