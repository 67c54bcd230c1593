"""`python -m poolproof lab reports` and `… compare`; the service's commands print the same of another folder."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from poolproof.lab.reporting.command_options import DEFAULT_FOLDER, with_report_options
from poolproof.lab.reporting.compare import ReportPair, joined_tables, save_comparison
from poolproof.lab.reporting.report import NoSuchReportError, list_reports, load_report


@click.command("reports")
@with_report_options
def reports(folder: Path | None, as_json: bool) -> None:
    """List the stored reports, newest first."""
    print_reports(folder or DEFAULT_FOLDER, as_json=as_json)


@click.command("compare")
@click.argument("left")
@click.argument("right")
@with_report_options
def compare(left: str, right: str, folder: Path | None, as_json: bool) -> None:
    """Put two reports side by side on one page; names as `reports` lists them, or paths."""
    print_comparison(folder or DEFAULT_FOLDER, left, right, as_json=as_json)


def print_reports(folder: Path, *, as_json: bool) -> None:
    """Print the reports of a folder, newest first."""
    stored = list_reports(folder)
    if as_json:
        click.echo(json.dumps([asdict(report) for report in stored]))
        return
    for report in stored:
        click.echo(f"{report.name}\n    {report.title}. {report.verdict}")
    if not stored:
        click.echo(f"There is no report in {folder}.")


def print_comparison(folder: Path, left: str, right: str, *, as_json: bool) -> None:
    """Store a page with two reports of a folder side by side, and print where it is.

    Raises:
        click.ClickException: when one of them does not exist.
    """
    try:
        pair = ReportPair(load_report(folder, left), load_report(folder, right))
    except NoSuchReportError as error:
        raise click.ClickException(str(error)) from error
    page = save_comparison(pair, folder)
    if as_json:
        click.echo(json.dumps({"page": str(page), "tables": [asdict(table) for table in joined_tables(pair)]}))
    else:
        click.echo(f"The comparison: {page}")
