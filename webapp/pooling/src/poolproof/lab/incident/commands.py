"""`python -m poolproof lab incident`: SQLAlchemy's pool and the fair one, on your database, one after the other."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click
from sqlalchemy import make_url

from poolproof.lab.command_line import command_line
from poolproof.lab.hosts import is_local_host
from poolproof.lab.incident.report import build_report
from poolproof.lab.incident.rush import PoolKind, RushOptions, RushRequest, run_rush
from poolproof.lab.reporting.command_options import DEFAULT_FOLDER, database_url_option, with_report_options
from poolproof.lab.reporting.report_output import ProgressDisplay, logging_disabled, output_report
from poolproof.lab.server_limits import NoSuchServerError, read_limits, redacted

MILLISECONDS = 1000


@click.command("incident")
@database_url_option
@click.option(
    "--threads",
    default=40,
    show_default=True,
    type=click.IntRange(2, 1000),
    help="How many request threads ask for connections at once.",
)
@click.option(
    "--pool-size", default=4, show_default=True, type=click.IntRange(1, 500), help="The pool_size of both pools."
)
@click.option(
    "--max-overflow", default=0, show_default=True, type=click.IntRange(0, 500), help="The max_overflow of both pools."
)
@click.option(
    "--pool-timeout",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.05, 120),
    help="The pool_timeout of both pools, in seconds.",
)
@click.option(
    "--hold-ms",
    default=20.0,
    show_default=True,
    type=click.FloatRange(0, 10_000),
    help="Milliseconds that a request holds its connection.",
)
@click.option(
    "--seconds",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0.5, 600),
    help="How many seconds each pool is used.",
)
@click.option("--yes", "confirmed", is_flag=True, help="Say that this database server may be loaded.")
@with_report_options
def command(*, url: str, hold_ms: float, confirmed: bool, folder: Path | None, as_json: bool, **options: Any) -> None:
    """See the same threads at SQLAlchemy's pool and at the fair one.

    It sends SELECT 1 and changes nothing. Exit 1 when a request failed with the fair pool.
    """
    host = make_url(url).host
    if host and not confirmed and not is_local_host(host):
        raise click.UsageError(f"This loads the database server on {host}. --yes says that it may.")
    try:
        read_limits(url)
    except NoSuchServerError as error:
        raise click.ClickException(str(error)) from error
    rush = RushOptions(url, hold=hold_ms / MILLISECONDS, **options)
    results, is_complete = _run_both(rush)
    report = build_report(results, rush, redacted(url), command_line(url), is_complete=is_complete)
    output_report(report, folder or DEFAULT_FOLDER, as_json=as_json)
    if report.grade == "bad" or not report.is_complete:
        sys.exit(1)


def _show_progress(progress: ProgressDisplay, kind: PoolKind, left: float) -> None:
    progress.update(kind, remaining=left)


def _run_both(options: RushOptions) -> tuple[dict[PoolKind, list[RushRequest]], bool]:
    """Use one pool after the other; on Ctrl-C return what was measured until then."""
    progress = ProgressDisplay(options.seconds * len(PoolKind))
    results: dict[PoolKind, list[RushRequest]] = {}
    try:
        # The fair pool reports connections that are held for long; here that is what the rush is made of.
        with logging_disabled():
            for kind in PoolKind:
                results[kind] = run_rush(kind, options, partial(_show_progress, progress, kind))
    except KeyboardInterrupt:
        return results, False
    finally:
        progress.finish()
    return results, True
