"""Gunicorn's logger with our format: its own lines (starts, exits of workers, errors) look as all others do.

Loaded by Gunicorn's master; imports nothing of ours but the format.
"""

from __future__ import annotations

from typing import Any

from gunicorn.glogging import Logger

from webapp.web.log_format import LogFormat, make_formatter


def logger_class(log_format: LogFormat) -> type[Logger]:
    """Return the class of loggers that write in this format."""

    class PoolproofLogger(Logger):  # type: ignore[misc]
        """Gunicorn's logger; what it logs has no secrets, e.g. in a path."""

        def setup(self, cfg: Any) -> None:
            """Set up the handlers; called again at each reload."""
            super().setup(cfg)
            for handler in self.error_log.handlers:
                handler.setFormatter(make_formatter(log_format))

    return PoolproofLogger
