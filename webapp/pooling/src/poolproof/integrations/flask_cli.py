"""`flask pool`: the pools of all processes, on the command line of an application with `Poolproof`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click
from flask import current_app
from flask.cli import AppGroup

from poolproof.adoption.doctor import finding_lines, run_doctor
from poolproof.adoption.process import AdoptedProcess
from poolproof.capacity.budget import Level
from poolproof.fleet.registry import FleetSnapshot

pool_commands = AppGroup("pool", help="The connection pools of this application's processes.")

NOBODY = "No process of this application publishes its state in {}: start it, and send it one request."


@pool_commands.command()
@click.option(
    "--workers", type=click.IntRange(min=1), help="Processes that serve the application. Default: those seen."
)
def doctor(workers: int | None) -> None:
    """Check whether the pools fit their servers, and what requests do wrong; exit 1 when a check fails."""
    process = _process()
    fleet = process.published()
    count = workers or max(1, len(fleet.members))
    findings = run_doctor(process.lanes, fleet, count)
    click.echo("\n".join(finding_lines(findings)))
    if any(finding.level is Level.FAIL for finding in findings):
        sys.exit(1)


@pool_commands.command()
def status() -> None:
    """Show the pools of each process: in use, idle, waiting."""
    for member in _published().members:
        click.echo(f"{member.identity.get('name')} {member.identity.get('pid')}")
        for name, lane in member.status.get("lanes", {}).items():
            most = "any number" if lane["most"] is None else f"{lane['most']:g}"
            waits = f", {lane['waiting']} wait, the first for {lane['oldest']:.1f} s" if lane["waiting"] else ""
            click.echo(f"  {name}: {lane['used']} of {most} in use, {lane['idle']} idle{waits}")


@pool_commands.command()
def checkouts() -> None:
    """Show who holds a connection, the longest first, with the line that has borrowed it."""
    lines = list(_checkout_lines(_published()))
    for line in lines or ["No connection is held for longer than a moment."]:
        click.echo(line)


def _checkout_lines(fleet: FleetSnapshot) -> Iterator[str]:
    held = [(holder, member) for member in fleet.members for holder in member.status.get("holders", ())]
    held.sort(key=lambda pair: -pair[0]["seconds"])
    for holder, member in held:
        yield (
            f"{holder['seconds']:.1f} s  {holder['name']} ({holder['lane']}, process {member.identity.get('pid')}), "
            f"borrowed at {holder['place']}"
        )
        if holder["statement"]:
            is_running = holder["running"] is not None
            yield f"       {'running' if is_running else 'last statement'}: {' '.join(holder['statement'].split())}"
        if holder.get("now_at"):
            yield f"       now at {holder['now_at']}"


def _process() -> AdoptedProcess:
    process: AdoptedProcess = current_app.extensions["poolproof"]
    return process


def _published() -> FleetSnapshot:
    process = _process()
    fleet = process.published()
    if not fleet.members:
        raise click.ClickException(NOBODY.format(process.folder or "a folder of its own"))
    return fleet
