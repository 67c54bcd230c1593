"""Is the database there? Asked on the console lane, which does not wait behind the others."""

from __future__ import annotations

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError


class Probe:
    """Asks the smallest question there is."""

    def __init__(self, engine: Engine) -> None:
        """Ask on `engine`, where no wait is long."""
        self.engine = engine

    def check(self) -> str | None:
        """Return None when the database answers, otherwise one sentence that says what is wrong."""
        try:
            with self.engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            return f"The database does not answer: {type(error).__name__}."
        return None
