"""`python -m poolproof lab drill`: faults that an account may make itself, on your database."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click
from sqlalchemy import make_url

from poolproof.lab.command_line import command_line
from poolproof.lab.drills.backends import Backends
from poolproof.lab.drills.faults import DRILLS, Drill, DrillResult
from poolproof.lab.drills.report import build_report
from poolproof.lab.hosts import is_local_host
from poolproof.lab.incident.rush import PoolKind, RushOptions, make_engine
from poolproof.lab.reporting.command_options import DEFAULT_FOLDER, database_url_option, with_report_options
from poolproof.lab.reporting.report_output import ProgressDisplay, logging_disabled, output_report
from poolproof.lab.server_limits import NoSuchServerError, read_limits, redacted

EXPECTED_SECONDS = 3.0
"""Seconds that a drill takes at one pool."""


@click.command("drill")
@click.argument("names", nargs=-1, type=click.Choice(sorted(DRILLS)))
@database_url_option
@click.option(
    "--pool-size", default=4, show_default=True, type=click.IntRange(1, 100), help="The pool_size of both pools."
)
@click.option(
    "--pool-timeout",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.1, 60),
    help="The pool_timeout of both pools, in seconds.",
)
@click.option("--yes", "confirmed", is_flag=True, help="Say that this database server is for such drills.")
@with_report_options
def command(
    *,
    names: tuple[str, ...],
    url: str,
    pool_size: int,
    pool_timeout: float,
    confirmed: bool,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Rehearse faults on your database, at both pools: SQLAlchemy's own and the fair one.

    Only connections of the drill's own are ended, and only SELECT is sent. Exit 1 when one fails with the fair pool.
    """
    host = make_url(url).host
    if host and not confirmed and not is_local_host(host):
        raise click.UsageError(f"This ends connections of its own on {host} again and again. --yes says that it may.")
    try:
        read_limits(url)
    except NoSuchServerError as error:
        raise click.ClickException(str(error)) from error
    if not Backends(url).is_known:
        raise click.ClickException("Drills end connections on the server: they need MySQL, MariaDB or PostgreSQL.")
    options = RushOptions(url, 1, pool_size, 0, pool_timeout, 0.0, 0.0)
    results, is_complete = run_drills(names or tuple(DRILLS), options)
    report = build_report(results, redacted(url), command_line(url), is_complete=is_complete)
    output_report(report, folder or DEFAULT_FOLDER, as_json=as_json)
    if report.grade == "bad":
        sys.exit(1)


def run_drills(names: Sequence[str], options: RushOptions) -> tuple[dict[str, dict[PoolKind, DrillResult]], bool]:
    """Make each drill at each pool; on Ctrl-C return what was found until then."""
    progress = ProgressDisplay(EXPECTED_SECONDS * len(PoolKind) * len(names))
    results: dict[str, dict[PoolKind, DrillResult]] = {}
    try:
        with logging_disabled():
            for name in names:
                for kind in PoolKind:
                    progress.update(f"{name}: {kind}")
                    results.setdefault(name, {})[kind] = _run_drill(DRILLS[name], kind, options)
    except KeyboardInterrupt:
        return results, False
    finally:
        progress.finish()
    return results, True


def _run_drill(drill: Drill, kind: PoolKind, options: RushOptions) -> DrillResult:
    engine = make_engine(kind, options)
    try:
        return drill.run(engine, Backends(options.url), options.pool_size, options.pool_timeout)
    finally:
        engine.dispose()
