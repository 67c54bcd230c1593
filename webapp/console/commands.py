"""`poolproof doctor`: every check of the deployment, with the arithmetic."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from poolproof.integrations.flask_ext import get_pooling, read
from webapp.console.findings import check_deployment, has_failure, print_findings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(as_json: bool) -> None:
    """Check the deployment, with the arithmetic.

    The exit status is 1 when a check fails.
    """
    pooling = get_pooling()
    with read() as connection:
        findings = check_deployment(connection, pooling.fleet, pooling.settings)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        print_findings(findings)
    if has_failure(findings):
        sys.exit(1)
