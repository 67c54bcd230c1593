"""`python -m poolproof doctor`: whether the pools of all processes of an application fit its database server."""

from __future__ import annotations

import sys

import click
from sqlalchemy import create_engine

from poolproof.adoption.doctor import finding_lines, run_doctor
from poolproof.adoption.engines import adopt, adopted_lane
from poolproof.capacity.budget import Level
from poolproof.fleet.registry import FleetSnapshot
from poolproof.lab.reporting.command_options import database_url_option
from poolproof.lab.server_limits import NoSuchServerError, read_limits


@click.command("doctor")
@database_url_option
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="How many processes serve the application.",
)
@click.option(
    "--pool-size",
    default=5,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="The engine's pool_size; 5 is SQLAlchemy's default.",
)
@click.option(
    "--max-overflow",
    default=10,
    show_default=True,
    type=click.IntRange(0, 10_000),
    help="The engine's max_overflow; 10 is SQLAlchemy's default.",
)
def command(*, url: str, workers: int, pool_size: int, max_overflow: int) -> None:
    """Check whether the pools of all processes fit the server; exit 1 when they do not."""
    try:
        read_limits(url)
    except NoSuchServerError as error:
        raise click.ClickException(str(error)) from error
    engine = adopt(create_engine(url, pool_size=pool_size, max_overflow=max_overflow))
    try:
        findings = run_doctor([adopted_lane(engine)], FleetSnapshot(), workers)
    finally:
        engine.dispose()
    click.echo("\n".join(finding_lines(findings)))
    if any(finding.level is Level.FAIL for finding in findings):
        sys.exit(1)
