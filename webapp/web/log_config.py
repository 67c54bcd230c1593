"""Structured logs on standard error: one JSON object a line, or text for people."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import time
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from io import UnsupportedOperation
from typing import Literal, TextIO

import structlog

from poolproof.runtime.periodic_thread import PeriodicThread

REQUEST_LOGGER = "poolproof.request"
_log = structlog.get_logger(REQUEST_LOGGER)
_SHARED_PROCESSORS: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


class AtomicLineHandler(logging.StreamHandler[TextIO]):
    """Writes each line by one call, which the system keeps whole; so no thread waits for another to write.

    The usual handler holds a lock meanwhile, and under load all request threads stand before it.
    """

    def createLock(self) -> None:  # noqa: N802 - logging's name
        """Have none."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        try:
            self.write(self.format(record))
        except Exception:  # noqa: BLE001 - as every handler does
            self.handleError(record)

    def write(self, line: str) -> None:
        """Write a line."""
        try:
            os.write(self.stream.fileno(), f"{line}\n".encode(errors="replace"))
        except UnsupportedOperation:
            # Not a file: in tests, standard error may be one in memory.
            self.stream.write(f"{line}\n")


class BatchedWriter:
    """Lines that are written some at a time: in a push each would cost as much as half of its request."""

    def __init__(self) -> None:
        self.handler: AtomicLineHandler | None = None
        self._lines: deque[str] = deque()
        self._thread = PeriodicThread("poolproof-log", self._flush_periodically)
        self._is_flush_scheduled = False

    def add(self, line: str) -> None:
        self._lines.append(line)
        if len(self._lines) >= MAX_BATCH_LINES:
            self.flush()
        elif not self._is_flush_scheduled:
            self._is_flush_scheduled = True
            self._thread.wake()

    def flush(self) -> None:
        while self._lines and self.handler is not None:
            some: list[str] = []
            with suppress(IndexError):
                while len(some) < MAX_BATCH_LINES:
                    some.append(self._lines.popleft())
            if some:
                self.handler.write("\n".join(some))

    def stop(self) -> None:
        self._thread.stop()
        self.flush()

    def _flush_periodically(self) -> float:
        time.sleep(FLUSH_DELAY)
        self._is_flush_scheduled = False
        self.flush()
        return IDLE_INTERVAL


MAX_BATCH_LINES = 12
"""Lines; together they are shorter than what a pipe takes in one piece (4096 bytes)."""
FLUSH_DELAY, IDLE_INTERVAL = 0.1, 60.0
"""Seconds."""
_request_log_writer = BatchedWriter()


def flush_request_log() -> None:
    """Write the lines of requests that were gathered; for the end of a process."""
    _request_log_writer.stop()


atexit.register(flush_request_log)


def log_request(method: str, route: str, status: int, seconds: float, request_id: str) -> None:
    """Write a request's line; the common one costs no more than its text.

    `route` is the rule and never the path: an attempt's token is a secret.
    """
    if _request_log_writer.handler is None:
        facts = {"method": method, "route": route, "status": status, "seconds": round(seconds, 4)}
        _log.info("request", **facts, request_id=request_id)
        return
    moment = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    _request_log_writer.add(
        f'{{"method": "{method}", "route": "{route}", "status": {status}, "seconds": {seconds:.4f}, '
        f'"event": "request", "request_id": "{request_id}", "level": "info", "logger": "{REQUEST_LOGGER}", '
        f'"timestamp": "{moment}"}}'
    )


def configure_logging(log_format: Literal["json", "text"]) -> None:
    """Send our own and every library's log records through one formatter."""
    renderer: structlog.typing.Processor
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED_PROCESSORS,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            renderer,
        ],
    )
    handler = AtomicLineHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in [one for one in root.handlers if isinstance(one.formatter, structlog.stdlib.ProcessorFormatter)]:
        root.removeHandler(old)
    root.addHandler(handler)
    _request_log_writer.handler = handler if log_format == "json" else None
    root.setLevel(logging.INFO)
    # httpx tells whole addresses, which may hold a key.
    for chatty in ("alembic", "poolproof.core.queue_pool", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*_SHARED_PROCESSORS, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
