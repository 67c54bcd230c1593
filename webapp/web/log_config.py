"""Structured logs on standard error: one JSON object a line, or text for people."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from io import UnsupportedOperation
from typing import Literal, TextIO

import structlog

from poolproof.runtime.periodic_thread import PeriodicThread
from webapp.web.log_format import SHARED_PROCESSORS, LogFormat, make_formatter

REQUEST_LOGGER = "poolproof.request"
_log = structlog.get_logger(REQUEST_LOGGER)


class AtomicLineHandler(logging.StreamHandler[TextIO]):
    """Writes each line by one system call, which is atomic on a pipe, so that no thread waits for another.

    logging's own handler holds a lock while it writes, and under load all request threads queue for it.
    """

    def createLock(self) -> None:  # noqa: N802 - logging's name
        """Set no lock."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Format and write a record."""
        try:
            self.write(self.format(record))
        except Exception:  # noqa: BLE001 - as every handler of logging does
            self.handleError(record)

    def write(self, line: str) -> None:
        """Write a line."""
        try:
            os.write(self.stream.fileno(), f"{line}\n".encode(errors="replace"))
        except UnsupportedOperation:
            # Standard error has no file descriptor: in tests it may be in memory.
            self.stream.write(f"{line}\n")


class BatchedWriter:
    """Writes log lines in batches: a write for each line would cost as much as half of its request."""

    def __init__(self) -> None:
        """Drop every line until there is a handler."""
        self.handler: AtomicLineHandler | None = None
        self.is_enabled = True
        """Whether requests are logged at all."""
        self._lines: deque[str] = deque()
        self._thread = PeriodicThread("poolproof-log", self._flush_periodically)
        self._is_flush_scheduled = False

    def add(self, line: str) -> None:
        """Write the line with the next batch: when that is full, or after `FLUSH_DELAY`."""
        self._lines.append(line)
        if len(self._lines) >= MAX_BATCH_LINES:
            self.flush()
        elif not self._is_flush_scheduled:
            self._is_flush_scheduled = True
            self._thread.wake()

    def flush(self) -> None:
        """Write all lines."""
        while self._lines and self.handler is not None:
            batch: list[str] = []
            # Another thread may take the last line first: then popleft raises, and the batch is what there is.
            with suppress(IndexError):
                while len(batch) < MAX_BATCH_LINES:
                    batch.append(self._lines.popleft())
            if batch:
                self.handler.write("\n".join(batch))

    def stop(self) -> None:
        """End the thread and write all lines."""
        self._thread.stop()
        self.flush()

    def _flush_periodically(self) -> float:
        time.sleep(FLUSH_DELAY)
        self._is_flush_scheduled = False
        self.flush()
        return IDLE_INTERVAL


MAX_BATCH_LINES = 12
"""Together they are shorter than PIPE_BUF (4096 bytes), up to which a write to a pipe is atomic."""
FLUSH_DELAY, IDLE_INTERVAL = 0.1, 60.0
"""Seconds."""
_request_log_writer = BatchedWriter()


def flush_request_log() -> None:
    """Write the lines of requests that are waiting; for the end of a process."""
    _request_log_writer.stop()


atexit.register(flush_request_log)


def log_request(method: str, route: str, status: int, seconds: float, request_id: str) -> None:
    """Log a finished request; a JSON line is formatted by hand, at less than the cost of structlog's processors.

    `route` is the rule and never the path: an attempt's token is a secret.
    """
    if not _request_log_writer.is_enabled:
        return
    if _request_log_writer.handler is None:
        fields = {"method": method, "route": route, "status": status, "seconds": round(seconds, 4)}
        _log.info("request", **fields, request_id=request_id)
        return
    timestamp = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    _request_log_writer.add(
        f'{{"method": "{method}", "route": "{route}", "status": {status}, "seconds": {seconds:.4f}, '
        f'"event": "request", "request_id": "{request_id}", "level": "info", "logger": "{REQUEST_LOGGER}", '
        f'"timestamp": "{timestamp}"}}'
    )


def _log_thread_exception(end: threading.ExceptHookArgs) -> None:
    """Log what has ended a thread; Python's own hook prints it as it is."""
    if end.exc_type is not SystemExit and end.exc_value is not None:
        name = end.thread.name if end.thread else "unknown"
        logging.getLogger(__name__).error("The thread %s has ended by an error", name, exc_info=end.exc_value)


def configure_logging(log_format: LogFormat, log_level: Literal["debug", "info", "warning", "error"] = "info") -> None:
    """Send our own and every library's log records of at least this level through one formatter."""
    handler = AtomicLineHandler(sys.stderr)
    handler.setFormatter(make_formatter(log_format))
    root = logging.getLogger()
    for present in list(root.handlers):
        if isinstance(present.formatter, structlog.stdlib.ProcessorFormatter):
            root.removeHandler(present)
    root.addHandler(handler)
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _log_thread_exception
    _request_log_writer.handler = handler if log_format == "json" else None
    level = logging.getLevelNamesMapping()[log_level.upper()]
    root.setLevel(level)
    _request_log_writer.is_enabled = level <= logging.INFO
    # httpx2 logs whole URLs, which may contain a key.
    for name in ("alembic", "sqlalchemy.pool", "httpx2"):
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[*SHARED_PROCESSORS, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
