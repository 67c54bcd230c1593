"""`poolproof lab incident`."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from flask import current_app

from poolproof.lab.reporting.command_options import renamed_option, with_report_options
from poolproof.lab.reporting.report import as_csv
from poolproof.lab.reporting.report_output import ProgressDisplay
from poolproof.lab.scratch_schema import ScratchSchemaError
from webapp.lab.incident import report as incident_report
from webapp.lab.incident import runner as incident_runner
from webapp.lab.incident.runner import IncidentOptions, ServiceRun
from webapp.lab.loadgen.load_generator import TooManyUsersError
from webapp.lab.reporting.service_reports import output_report
from webapp.lab.services.service_process import NotServingError

DEFAULT_THREADS = 1000


@click.command("incident")
@click.option(
    "--users", default=2000, show_default=True, type=click.IntRange(1, 20_000), help="How many people play the quiz."
)
@click.option(
    "--ramp",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, 600),
    help="Seconds over which their arrivals are spread evenly.",
)
@click.option(
    "--think",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 60),
    help="Seconds that each person thinks before each answer.",
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
    help="Whole seconds for which the pool with the defaults lets a request wait. Default: SQLAlchemy's own 30.",
)
@click.option(
    "--give-up-after",
    default=200.0,
    show_default=True,
    type=click.FloatRange(1, 3600),
    help="Seconds after which the push at each service is ended, even if people are still waiting.",
)
@renamed_option("--within", "--ramp")
@renamed_option("--limit", "--give-up-after")
@with_report_options
def command(
    *,
    users: int,
    ramp: float,
    think: float,
    threads: int,
    pool_timeout: int | None,
    give_up_after: float,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Push at Flask-SQLAlchemy with its defaults, then at Poolproof, on the MySQL of DATABASE_URL.

    Both are started on free ports, in schemas of their own (poolproof_lab_…) that are dropped afterwards. The exit
    status is 1 when Poolproof had an error.
    """
    options = IncidentOptions(users, ramp, think, threads, pool_timeout, give_up_after)
    runs = _run_incident(options)
    if not runs:
        raise click.ClickException("Stopped before anything was measured.")
    report = incident_report.build_report(runs, options, _command_line(options))
    page = output_report(report, folder, as_json=as_json)
    requests = as_csv(incident_report.request_rows(runs))
    page.with_name(f"{page.stem}-requests.csv").write_text(requests, encoding="utf-8")
    if not report.is_complete or not incident_report.is_flawless(runs[-1]):
        sys.exit(1)


def _run_incident(options: IncidentOptions) -> list[ServiceRun]:
    """Return the runs that were measured: on Ctrl-C not all."""
    push_seconds = sum(options.users * seconds for seconds in incident_runner.SECONDS_PER_USER.values())
    progress = ProgressDisplay(push_seconds + 2 * incident_runner.START_STOP_DURATION)
    runs: list[ServiceRun] = []
    try:
        runs.extend(incident_runner.run_incident(current_app.config["SETTINGS"].database_url, options, progress))
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)
    except (ScratchSchemaError, NotServingError, TooManyUsersError, OSError) as error:
        raise click.ClickException(f"The incident could not be rehearsed: {error}") from error
    finally:
        progress.finish()
    return runs


def _command_line(options: IncidentOptions) -> str:
    timeout = "" if options.pool_timeout is None else f" --pool-timeout {options.pool_timeout}"
    return (
        f"poolproof lab incident --users {options.users} --ramp {options.ramp:g} --think {options.think:g} "
        f"--threads {options.threads} --give-up-after {options.give_up_after:g}{timeout}"
    )
