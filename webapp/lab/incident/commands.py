"""`poolproof lab incident`."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from flask import current_app

from webapp.lab.incident import report as incident_report
from webapp.lab.incident import runner as incident_runner
from webapp.lab.incident.runner import IncidentOptions, ServiceRun
from webapp.lab.loadgen.load_generator import TooManyUsersError
from webapp.lab.reporting import report as reporting_report
from webapp.lab.reporting.report_output import ProgressDisplay, output_report, with_report_options
from webapp.lab.services.scratch_schema import ScratchSchemaError
from webapp.lab.services.service_process import NotServingError

DEFAULT_THREADS = 1000


@click.command("incident")
@click.option("--users", default=2000, show_default=True, type=click.IntRange(1, 20_000), help="How many people come.")
@click.option("--within", default=1.0, show_default=True, type=click.FloatRange(0, 600), help="Seconds of arrivals.")
@click.option(
    "--think", default=0.0, show_default=True, type=click.FloatRange(0, 60), help="Seconds before each answer."
)
@click.option(
    "--threads",
    default=DEFAULT_THREADS,
    show_default=True,
    type=click.IntRange(1, 4000),
    help="Request threads of each of the two workers of the service with the defaults.",
)
@click.option(
    "--pool-timeout",
    type=click.IntRange(0, 600),
    help="Whole seconds that its pool lets a request wait. Default: SQLAlchemy's own 30.",
)
@click.option(
    "--limit",
    default=200.0,
    show_default=True,
    type=click.FloatRange(1, 3600),
    help="Seconds after which nobody is waited for any longer, on either side.",
)
@with_report_options
def command(
    *,
    users: int,
    within: float,
    think: float,
    threads: int,
    pool_timeout: int | None,
    limit: float,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Push at Flask-SQLAlchemy with its defaults, then at Poolproof, on the MySQL of DATABASE_URL.

    Both are started on free ports, in schemas of their own (poolproof_lab_…) that are dropped afterwards. The exit
    status is 1 when Poolproof had an error.
    """
    wish = IncidentOptions(users, within, think, threads, pool_timeout, limit)
    sides = _run_incident(wish)
    if not sides:
        raise click.ClickException("Stopped before anything was measured.")
    report = incident_report.build_report(sides, wish, _command_line(wish))
    page = output_report(report, folder, as_json=as_json)
    requests = reporting_report.as_csv(incident_report.request_rows(sides))
    page.with_name(f"{page.stem}-requests.csv").write_text(requests, encoding="utf-8")
    if not report.is_complete or not incident_report.is_flawless(sides[-1]):
        sys.exit(1)


def _run_incident(options: IncidentOptions) -> list[ServiceRun]:
    """Return what could be measured: on Ctrl-C not all."""
    progress = ProgressDisplay(
        sum(options.users * each for each in incident_runner.SECONDS_PER_USER.values())
        + 2 * incident_runner.START_STOP_DURATION
    )
    sides: list[ServiceRun] = []
    try:
        sides.extend(incident_runner.run_incident(current_app.config["SETTINGS"].database_url, options, progress))
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)
    except (ScratchSchemaError, NotServingError, TooManyUsersError, OSError) as error:
        raise click.ClickException(f"The incident could not be rehearsed: {error}") from error
    finally:
        progress.finish()
    return sides


def _command_line(options: IncidentOptions) -> str:
    timeout = "" if options.pool_timeout is None else f" --pool-timeout {options.pool_timeout}"
    return (
        f"poolproof lab incident --users {options.users} --within {options.ramp:g} --think {options.think:g} "
        f"--threads {options.threads} --limit {options.give_up_after:g}{timeout}"
    )
