"""`poolproof doctor`: every check of the deployment, with the arithmetic."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from webapp.pooling.budget import Finding, Level, examine
from webapp.pooling.extension import pooling_of_this_app, read
from webapp.pooling.server import read_facts

MARKS = {Level.OK: "ok  ", Level.WARN: "WARN", Level.FAIL: "FAIL"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(as_json: bool) -> None:
    """Check the deployment, with the arithmetic; exit status 1 when a check fails."""
    pooling = pooling_of_this_app()
    with read() as connection:
        facts = read_facts(connection)
    findings = examine(pooling.fleet, pooling.settings, facts)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _print(findings)
    if any(finding.level is Level.FAIL for finding in findings):
        sys.exit(1)


def _print(findings: list[Finding]) -> None:
    wide = max(len(finding.check) for finding in findings)
    for finding in findings:
        click.echo(f"{MARKS[finding.level]}  {finding.check:<{wide}}  {finding.sentence}")
        if finding.remedy:
            click.echo(f"{'':<{wide + 6}}  → {finding.remedy}")
