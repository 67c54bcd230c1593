"""`poolproof lab reports` and `poolproof lab compare`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from poolproof.lab.reporting.command_options import with_report_options
from poolproof.lab.reporting.compare import ReportPair, joined_tables, save_comparison
from poolproof.lab.reporting.report import NoSuchReportError, list_reports, load_report
from webapp.lab.reporting.service_reports import get_report_folder


@click.command("reports")
@with_report_options
def reports(folder: Path | None, as_json: bool) -> None:
    """List the stored reports, newest first."""
    report_folder = get_report_folder(folder)
    stored = list_reports(report_folder)
    if as_json:
        click.echo(json.dumps([asdict(report) for report in stored]))
        return
    for report in stored:
        click.echo(f"{report.name}\n    {report.title}. {report.verdict}")
    if not stored:
        click.echo(f"There is no report in {report_folder}.")


@click.command("compare")
@click.argument("left")
@click.argument("right")
@with_report_options
def compare(left: str, right: str, folder: Path | None, as_json: bool) -> None:
    """Put two reports side by side on one page; names as `reports` lists them, or paths."""
    report_folder = get_report_folder(folder)
    try:
        pair = ReportPair(load_report(report_folder, left), load_report(report_folder, right))
    except NoSuchReportError as error:
        raise click.ClickException(str(error)) from error
    page = save_comparison(pair, report_folder)
    if as_json:
        click.echo(json.dumps({"page": str(page), "tables": [asdict(table) for table in joined_tables(pair)]}))
    else:
        click.echo(f"The comparison: {page}")
