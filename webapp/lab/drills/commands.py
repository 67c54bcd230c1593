"""`poolproof lab drill`: rehearsals of the bad day."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click
from sqlalchemy import URL, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from webapp.lab.drills import DRILLS
from webapp.lab.drills.framework import STAGING_MARKER_TABLE, Drill, DrillTarget, direct_connection
from webapp.lab.drills.report import as_text, build_report
from webapp.lab.drills.runner import DrillResult, run_drills
from webapp.lab.reporting.environment_info import describe_environment
from webapp.lab.reporting.report_output import ProgressDisplay, output_report, with_report_options
from webapp.lab.services.programs import ServerError, find_program

EXIT_INTERRUPTED = 130
"""Exit status after Ctrl-C."""
SERVER_START_DURATION = 10
"""Seconds, about."""


@click.command("drill")
@click.argument("names", nargs=-1, type=click.Choice(list(DRILLS)), metavar="[NAME]...")
@click.option("--list", "is_listed", is_flag=True, help="Say which drills there are.")
@click.option("--without-protection", is_flag=True, help="Take away what each drill tests: then it has to fail.")
@click.option("--mysqld", metavar="PATH", help="The server program. Default: mysqld or mariadbd on the PATH.")
@click.option("--against", metavar="URL", help="A staging server of yours instead, marked by a table poolproof_lab.")
@click.option("--yes-this-is-staging", "is_staging", is_flag=True, help="Needed with --against.")
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
    """Rehearse the bad day on servers that the lab starts itself: all drills, or those named.

    Each loads a pool, or the service, steadily, does it harm, times the recovery and holds it against stated bounds.
    The exit status is 1 when a verdict is "failed".
    """
    chosen = [one for name, one in DRILLS.items() if not names or name in names]
    if is_listed:
        click.echo("\n\n".join(map(_describe, chosen)))
        return
    address = _staging_url(against, is_staging=is_staging)
    try:
        ground = (
            DrillTarget(database_url=_render_url(address)) if address is not None else DrillTarget(find_program(mysqld))
        )
    except ServerError as error:
        raise click.ClickException(str(error)) from error
    try:
        results, environment = _run_drills(ground, chosen, address, is_protected=not without_protection)
    except ServerError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        raise click.ClickException("Stopped before anything was measured.") from None
    finally:
        ground.close()
    again = _command_line(names, address, without_protection=without_protection)
    report = build_report(results, again, environment, is_protected=not without_protection)
    if not as_json:
        click.echo(as_text(report))
    output_report(report, folder, as_json=as_json)
    sys.exit(_exit_status(results))


def _run_drills(
    target: DrillTarget, drills: Sequence[Drill], staging_url: URL | None, *, is_protected: bool
) -> tuple[list[DrillResult], dict[str, str]]:
    left = {one.name: one.estimated_seconds for one in drills if target.is_disposable or not one.needs_own_server}
    starting = SERVER_START_DURATION if target.is_disposable else 0
    progress = ProgressDisplay(sum(left.values()) + starting)
    progress.update("a server: started on fresh data" if target.is_disposable else "the server: looked at")
    environment = _describe_target(staging_url, target)

    def tell(one: Drill) -> None:
        progress.update(f"{one.name}: {one.hypothesis}", remaining=sum(left.values()))
        left.pop(one.name, None)

    results = run_drills(target, drills, is_protected=is_protected, on_progress=tell)
    progress.finish()
    return results, environment


def _exit_status(results: Sequence[DrillResult]) -> int:
    verdicts = {one.verdict for one in results}
    if "failed" in verdicts or not verdicts & {"passed", "cut short"}:
        return 1
    return EXIT_INTERRUPTED if "cut short" in verdicts else 0


def _describe(drill: Drill) -> str:
    where = "" if drill.needs_own_server else " Also with --against."
    return f"{drill.name} ({drill.estimated_seconds:g} s)\n  {drill.hypothesis}\n  Without protection: {drill.unprotected}.{where}"


def _describe_target(staging_url: URL | None, target: DrillTarget) -> dict[str, str]:
    with direct_connection(target.database_url()) as connection:
        version = connection.execute(text("SELECT VERSION()")).scalar_one()
    whose = "started by the lab" if staging_url is None else _render_url(staging_url, hide_password=True)
    return {**describe_environment(), "Database": f"{version}, {whose}", "Configuration": "each drill's own"}


def _staging_url(against: str | None, *, is_staging: bool) -> URL | None:
    """Return the address of the operator's server, after a look at whether it is meant for drills."""
    if against is None:
        return None
    try:
        address = make_url(against)
    except ArgumentError as error:
        raise click.UsageError("--against cannot be read; write mysql://user:password@host/schema.") from error
    if address.get_backend_name() not in {"mysql", "mariadb"} or not address.database:
        raise click.UsageError(
            "--against takes a MySQL or MariaDB server and a schema: mysql://user:password@host/schema."
        )
    address = address.set(drivername="mysql+pymysql")
    shown = _render_url(address, hide_password=True)
    if not is_staging:
        raise click.UsageError(
            f"Drills kill connections and hold others up. Add --yes-this-is-staging if {shown} is there for that."
        )
    try:
        with direct_connection(_render_url(address)) as connection:
            found = connection.execute(text("SHOW TABLES LIKE :mark"), {"mark": STAGING_MARKER_TABLE}).all()
    except SQLAlchemyError as error:
        raise click.ClickException(f"{shown} cannot be reached: {str(error).splitlines()[0]}") from error
    if not found:
        raise click.ClickException(
            f"{shown} is not marked as a server for drills. If it is: CREATE TABLE {STAGING_MARKER_TABLE} (id INT PRIMARY KEY)"
        )
    return address


def _command_line(names: Sequence[str], staging_url: URL | None, *, without_protection: bool) -> str:
    words = ["poolproof lab drill", *names]
    words += ["--without-protection"] if without_protection else []
    words += (
        [f"--against '{_render_url(staging_url, hide_password=True)}' --yes-this-is-staging"]
        if staging_url is not None
        else []
    )
    return " ".join(words)


def _render_url(url: URL, *, hide_password: bool = False) -> str:
    return url.render_as_string(hide_password=hide_password)
