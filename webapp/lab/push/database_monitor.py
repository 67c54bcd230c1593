"""What the database server counts while a push runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy.exc import SQLAlchemyError

from poolproof.lab.connection_monitor import ConnectionMonitor
from webapp.lab.push.push_report import DatabaseStats

SAMPLE_INTERVAL = 0.1
"""Seconds."""


class DatabaseMonitor:
    """Connections at peak, and statements, while the block of `run` is executed."""

    def __init__(self, monitor: ConnectionMonitor) -> None:
        """Use this monitor, which looks at the schema of the service."""
        self._monitor = monitor
        self._samples: list[tuple[float, int]] = []
        self._statements: list[int] = []

    @contextmanager
    def run(self) -> Iterator[None]:
        """Watch until the block ends; a server that does not answer meanwhile leaves gaps."""
        self._count_statements()
        with self._monitor.sample_counts(interval=SAMPLE_INTERVAL) as self._samples:
            yield
        self._count_statements()

    def stats(self) -> DatabaseStats | None:
        """Return what was counted, without the monitor's own; None where the server did not say it."""
        # A server that was restarted meanwhile has counted from zero.
        if len(self._statements) != 2 or self._statements[1] < self._statements[0]:  # noqa: PLR2004 - before, after
            return None
        own = len(self._samples) + 1
        peak = max((count for _, count in self._samples), default=0)
        return DatabaseStats(peak, self._statements[1] - self._statements[0] - own)

    def _count_statements(self) -> None:
        with suppress(SQLAlchemyError):
            self._statements.append(self._monitor.statement_count())
