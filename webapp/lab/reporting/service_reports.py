"""Where the service's commands store their reports, and what these say about the service."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flask import current_app

from poolproof.lab.reporting import report as reporting_report
from poolproof.lab.reporting import report_output
from poolproof.lab.reporting.report import LabReport
from webapp.lab.reporting.service_environment import describe_service_environment


def get_report_folder(folder: Path | None) -> Path:
    """Return this folder, or by default the one in the instance folder of this installation."""
    instance: Path = current_app.config["SETTINGS"].poolproof.instance
    return folder or instance / reporting_report.REPORTS_FOLDER


def output_report(report: LabReport, folder: Path | None, *, as_json: bool) -> Path:
    """Store a report with the environment of the service, and print it; return the page's path."""
    complete = replace(report, environment=report.environment or describe_service_environment())
    return report_output.output_report(complete, get_report_folder(folder), as_json=as_json)
