"""`poolproof lab reports` and `poolproof lab compare`."""

from __future__ import annotations

from pathlib import Path

import click

from poolproof.lab.reporting.command_options import with_report_options
from poolproof.lab.reporting.commands import print_comparison, print_reports
from webapp.lab.reporting.service_reports import get_report_folder


@click.command("reports")
@with_report_options
def reports(folder: Path | None, as_json: bool) -> None:
    """List the stored reports, newest first."""
    print_reports(get_report_folder(folder), as_json=as_json)


@click.command("compare")
@click.argument("left")
@click.argument("right")
@with_report_options
def compare(left: str, right: str, folder: Path | None, as_json: bool) -> None:
    """Put two reports side by side on one page; names as `reports` lists them, or paths."""
    print_comparison(get_report_folder(folder), left, right, as_json=as_json)
