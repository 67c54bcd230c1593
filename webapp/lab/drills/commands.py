"""`poolproof lab drill`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click
from sqlalchemy import URL, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from poolproof.lab.reporting.command_options import renamed_option, with_report_options
from poolproof.lab.reporting.environment_info import describe_environment
from poolproof.lab.reporting.report_output import ProgressDisplay
from poolproof.lab.scratch_schema import LAB_MARKER_TABLE
from webapp.lab.drills import DRILLS
from webapp.lab.drills.framework import Drill, DrillTarget, direct_connection
from webapp.lab.drills.report import as_text, build_report
from webapp.lab.drills.runner import DrillResult, run_drills
from webapp.lab.reporting.service_reports import output_report
from webapp.lab.services.programs import ServerError, find_program

EXIT_INTERRUPTED = 130
"""Exit status after Ctrl-C."""
SERVER_START_DURATION = 10
"""Approximate seconds."""


@click.command("drill")
@click.argument("names", nargs=-1, type=click.Choice(list(DRILLS)), metavar="[NAME]...")
@click.option("--list", "is_listed", is_flag=True, help="List the drills with their hypotheses, and run none.")
@click.option(
    "--without-protection",
    is_flag=True,
    help="Switch off the protection that each drill tests; every drill must fail then.",
)
@click.option("--mysqld", metavar="PATH", help="Path of the server program. Default: mysqld or mariadbd on the PATH.")
@click.option(
    "--against",
    metavar="URL",
    help="Use a staging server of yours, marked by a table poolproof_lab, instead of starting one.",
)
@click.option(
    "--yes", "is_staging", is_flag=True, help="Confirm that the server of --against may be disturbed; needed with it."
)
@renamed_option("--yes-this-is-staging", "--yes", is_flag=True)
@with_report_options
def command(
    names: tuple[str, ...],
    is_listed: bool,
    without_protection: bool,
    mysqld: str | None,
    against: str | None,
    is_staging: bool,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Rehearse outages on servers that the lab starts itself: all drills, or those named.

    Each loads a pool, or the service, steadily, causes a fault, times the recovery and compares it with stated
    bounds. The exit status is 1 when a verdict is "failed".
    """
    drills = [drill for name, drill in DRILLS.items() if not names or name in names]
    if is_listed:
        click.echo("\n\n".join(map(_describe, drills)))
        return
    staging_url = _staging_url(against, is_staging=is_staging)
    try:
        results, environment = _run_on_target(drills, mysqld, staging_url, is_protected=not without_protection)
    except ServerError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        raise click.ClickException("Stopped before anything was measured.") from None
    command_line = _command_line(names, staging_url, without_protection=without_protection)
    report = build_report(results, command_line, environment, is_protected=not without_protection)
    if not as_json:
        click.echo(as_text(report))
    output_report(report, folder, as_json=as_json)
    sys.exit(_exit_status(results))


def _run_on_target(
    drills: Sequence[Drill], mysqld: str | None, staging_url: URL | None, *, is_protected: bool
) -> tuple[list[DrillResult], dict[str, str]]:
    if staging_url is None:
        target = DrillTarget(find_program(mysqld))
    else:
        target = DrillTarget(database_url=_render_url(staging_url))
    with closing(target):
        return _run_drills(target, drills, staging_url, is_protected=is_protected)


def _run_drills(
    target: DrillTarget, drills: Sequence[Drill], staging_url: URL | None, *, is_protected: bool
) -> tuple[list[DrillResult], dict[str, str]]:
    remaining = {
        drill.name: drill.estimated_seconds for drill in drills if target.is_disposable or not drill.needs_own_server
    }
    start_seconds = SERVER_START_DURATION if target.is_disposable else 0
    progress = ProgressDisplay(sum(remaining.values()) + start_seconds)
    progress.update("a server: starting on fresh data" if target.is_disposable else "the server: checking")
    environment = _describe_target(staging_url, target)

    def show(drill: Drill) -> None:
        progress.update(f"{drill.name}: {drill.hypothesis}", remaining=sum(remaining.values()))
        remaining.pop(drill.name, None)

    results = run_drills(target, drills, is_protected=is_protected, on_progress=show)
    progress.finish()
    return results, environment


def _exit_status(results: Sequence[DrillResult]) -> int:
    verdicts = {result.verdict for result in results}
    if "failed" in verdicts or not verdicts & {"passed", "interrupted"}:
        return 1
    return EXIT_INTERRUPTED if "interrupted" in verdicts else 0


def _describe(drill: Drill) -> str:
    staging = "" if drill.needs_own_server else " Also with --against."
    return (
        f"{drill.name} ({drill.estimated_seconds:g} s)\n  {drill.hypothesis}\n"
        f"  Without protection: {drill.unprotected}.{staging}"
    )


def _describe_target(staging_url: URL | None, target: DrillTarget) -> dict[str, str]:
    with direct_connection(target.database_url()) as connection:
        version = connection.execute(text("SELECT VERSION()")).scalar_one()
    origin = "started by the lab" if staging_url is None else _render_url(staging_url, hide_password=True)
    return {**describe_environment(), "Database": f"{version}, {origin}", "Configuration": "each drill's own"}


def _staging_url(against: str | None, *, is_staging: bool) -> URL | None:
    """Return the URL of the operator's server, after a check that it is meant for drills."""
    if against is None:
        return None
    url = _parse_server_url(against)
    shown = _render_url(url, hide_password=True)
    if not is_staging:
        raise click.UsageError(f"Drills kill connections and block others. Add --yes if {shown} is there for that.")
    try:
        with direct_connection(_render_url(url)) as connection:
            marker = connection.execute(text("SHOW TABLES LIKE :marker"), {"marker": LAB_MARKER_TABLE}).all()
    except SQLAlchemyError as error:
        raise click.ClickException(f"{shown} cannot be reached: {str(error).splitlines()[0]}") from error
    if not marker:
        raise click.ClickException(
            f"{shown} is not marked as a server for drills. If it is: "
            f"CREATE TABLE {LAB_MARKER_TABLE} (id INT PRIMARY KEY)"
        )
    return url


def _parse_server_url(against: str) -> URL:
    example = "mysql://user:password@host/schema"
    try:
        url = make_url(against)
    except ArgumentError as error:
        raise click.UsageError(f"--against cannot be read; write {example}.") from error
    if url.get_backend_name() not in {"mysql", "mariadb"} or not url.database:
        raise click.UsageError(f"--against takes a MySQL or MariaDB server and a schema: {example}.")
    return url.set(drivername="mysql+pymysql")


def _command_line(names: Sequence[str], staging_url: URL | None, *, without_protection: bool) -> str:
    arguments = ["poolproof lab drill", *names]
    if without_protection:
        arguments.append("--without-protection")
    if staging_url is not None:
        arguments.append(f"--against '{_render_url(staging_url, hide_password=True)}' --yes")
    return " ".join(arguments)


def _render_url(url: URL, *, hide_password: bool = False) -> str:
    return url.render_as_string(hide_password=hide_password)
