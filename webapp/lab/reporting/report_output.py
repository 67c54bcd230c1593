"""Where reports go, and how a command hands one over: to people a few lines and a page, to programs JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from flask import current_app

from webapp.lab.reporting import report as reporting_report
from webapp.lab.reporting.report import LabReport

CommandFunction = TypeVar("CommandFunction", bound=Callable[..., Any])
PROGRESS_INTERVAL = 10.0
"""Seconds between two lines of progress where nobody sees a line that changes."""


def with_report_options(command: CommandFunction) -> CommandFunction:
    """Add `--reports` and `--json` to a command, as `folder` and `as_json`."""
    chosen = click.Path(file_okay=False, path_type=Path)
    where = click.option(
        "--reports", "folder", type=chosen, help="Folder of the reports. Default: reports in the instance folder."
    )
    return where(click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")(command))


def get_report_folder(folder: Path | None) -> Path:
    """Return the folder that was chosen, or the one in this installation's instance folder."""
    instance: Path = current_app.config["SETTINGS"].poolproof.instance
    return folder or instance / reporting_report.REPORTS_FOLDER


def output_report(report: LabReport, folder: Path | None, *, as_json: bool) -> Path:
    """Keep a report and print it; returns the page's path."""
    page = reporting_report.save_report(report, get_report_folder(folder))
    if as_json:
        click.echo(json.dumps({**reporting_report.as_json(report, figures=False), "page": str(page)}, default=str))
    else:
        lines = [report.verdict, *(f"- {one}" for one in report.findings), f"The report: {page}"]
        click.echo("\n".join(lines))
    return page


class ProgressDisplay:
    """Says on stderr what is being done and how long it will take; on a terminal in one line that changes."""

    def __init__(self, seconds: float) -> None:
        """Begin; `seconds` is how long all of it is expected to take."""
        self._expected_end = time.monotonic() + seconds
        self._last_message = ("", 0.0)

    def update(self, message: str, *, remaining: float | None = None) -> None:
        """Say what is being done, and how many seconds are left where that is known better by now."""
        now = time.monotonic()
        if remaining is not None:
            self._expected_end = now + remaining
        minutes, seconds = divmod(int(max(0.0, self._expected_end - now)), 60)
        line = f"{message} · about {minutes}:{seconds:02} left"
        if sys.stderr.isatty():
            click.echo(f"\r\033[K{line}", err=True, nl=False)
        elif (
            message.split(":", maxsplit=1)[0] != self._last_message[0]
            or now - self._last_message[1] >= PROGRESS_INTERVAL
        ):
            click.echo(line, err=True)
            self._last_message = (message.split(":", maxsplit=1)[0], now)

    def finish(self) -> None:
        """Leave the line as it is."""
        if sys.stderr.isatty():
            click.echo(err=True)
