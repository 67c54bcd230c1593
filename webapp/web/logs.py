"""Structured logs on standard error: one JSON object a line, or text for people."""

from __future__ import annotations

import logging
import os
import sys
from io import UnsupportedOperation
from typing import Literal, TextIO

import structlog

_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


class _OneWrite(logging.StreamHandler[TextIO]):
    """Writes each line by one call, which the system keeps whole; so no thread waits for another to write.

    The usual handler holds a lock meanwhile, and under load all request threads stand before it.
    """

    def createLock(self) -> None:  # noqa: N802 - logging's name
        """Have none."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        try:
            os.write(self.stream.fileno(), f"{self.format(record)}\n".encode(errors="replace"))
        except UnsupportedOperation:
            # Not a file: in tests, standard error may be one in memory.
            self.stream.write(f"{self.format(record)}\n")
        except Exception:  # noqa: BLE001 - as every handler does
            self.handleError(record)


def configure_logs(log_format: Literal["json", "text"]) -> None:
    """Send our own and every library's log records through one formatter."""
    renderer: structlog.typing.Processor
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            renderer,
        ],
    )
    handler = _OneWrite(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in [one for one in root.handlers if isinstance(one.formatter, structlog.stdlib.ProcessorFormatter)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for chatty in ("alembic", "webapp.pooling.pool"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
