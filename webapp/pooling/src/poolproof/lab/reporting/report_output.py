"""How a command outputs its report (a few lines and a page, or JSON) and its progress."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from poolproof.lab.reporting import report as reporting_report
from poolproof.lab.reporting.report import LabReport

PROGRESS_INTERVAL = 10.0
"""Seconds between two lines of progress where stderr is not a terminal."""


@contextmanager
def logging_disabled() -> Iterator[None]:
    """Suppress all log records: a command that breaks connections on purpose would fill the terminal with warnings."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def output_report(report: LabReport, folder: Path, *, as_json: bool) -> Path:
    """Store a report and print it; return the page's path."""
    page = reporting_report.save_report(report, folder)
    if as_json:
        click.echo(json.dumps({**reporting_report.as_json(report, figures=False), "page": str(page)}, default=str))
    else:
        lines = [report.verdict, *(f"- {finding}" for finding in report.findings), f"The report: {page}"]
        click.echo("\n".join(lines))
    return page


class ProgressDisplay:
    """Prints on stderr what is being done and how long it will take; on a terminal in one line that is overwritten."""

    def __init__(self, seconds: float) -> None:
        """Start; `seconds` is how long all of it is expected to take."""
        self._expected_end = time.monotonic() + seconds
        self._last_message = ("", 0.0)

    def update(self, message: str, *, remaining: float | None = None) -> None:
        """Print what is being done; `remaining` seconds replace the first estimate."""
        now = time.monotonic()
        if remaining is not None:
            self._expected_end = now + remaining
        minutes, seconds = divmod(int(max(0.0, self._expected_end - now)), 60)
        line = f"{message} · about {minutes}:{seconds:02} left"
        if sys.stderr.isatty():
            click.echo(f"\r\033[K{line}", err=True, nl=False)
        elif self._is_due(message, now):
            click.echo(line, err=True)
            self._last_message = (_topic(message), now)

    def finish(self) -> None:
        """End the line on the terminal."""
        if sys.stderr.isatty():
            click.echo(err=True)

    def _is_due(self, message: str, now: float) -> bool:
        topic, printed_at = self._last_message
        return _topic(message) != topic or now - printed_at >= PROGRESS_INTERVAL


def _topic(message: str) -> str:
    """Return what stands before the colon: a change of it is printed at once."""
    return message.split(":", maxsplit=1)[0]
