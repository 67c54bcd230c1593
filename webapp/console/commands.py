"""`poolproof doctor`: every check of the deployment, with the arithmetic."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from webapp.console.findings import has_failure, print_findings
from webapp.pooling.budget import examine
from webapp.pooling.extension import pooling_of_this_app, read
from webapp.pooling.server import read_facts


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(as_json: bool) -> None:
    """Check the deployment, with the arithmetic.

    The exit status is 1 when a check fails.
    """
    pooling = pooling_of_this_app()
    with read() as connection:
        facts = read_facts(connection)
    findings = examine(pooling.fleet, pooling.settings, facts)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        print_findings(findings)
    if has_failure(findings):
        sys.exit(1)
