"""`poolproof doctor`: every check of the deployment, with the arithmetic."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click
from sqlalchemy.exc import OperationalError

from webapp.pooling.budget import Finding, Level, examine
from webapp.pooling.extension import pooling_of_this_app, read
from webapp.pooling.server import read_facts

MARKS = {Level.OK: "ok  ", Level.WARN: "WARN", Level.FAIL: "FAIL"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option("--boot", is_flag=True, help="As at boot: only what is wrong, judged by POOL_CHECK.")
def doctor(as_json: bool, boot: bool) -> None:
    """Check the deployment, with the arithmetic; exit status 1 when a check fails."""
    if boot:
        _before_the_first_worker()
        return
    findings = _examine()
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _print(findings)
    if _fails(findings):
        sys.exit(1)


def _before_the_first_worker() -> None:
    check = pooling_of_this_app().settings.check
    if check == "off":
        return
    try:
        findings = _examine()
    except OperationalError as error:
        # It may come back any moment; until then requests get 503 and /readyz says why.
        click.echo(f"The budget could not be checked, the database does not answer: {error.orig}", err=True)
        return
    if wrong := [finding for finding in findings if finding.level is not Level.OK]:
        _print(wrong, err=True)
    if check == "strict" and _fails(findings):
        click.echo("Not started. Follow a remedy above, or set POOL_CHECK=warn to start all the same.", err=True)
        sys.exit(1)


def _examine() -> list[Finding]:
    pooling = pooling_of_this_app()
    with read() as connection:
        facts = read_facts(connection)
    return examine(pooling.fleet, pooling.settings, facts)


def _fails(findings: list[Finding]) -> bool:
    return any(finding.level is Level.FAIL for finding in findings)


def _print(findings: list[Finding], *, err: bool = False) -> None:
    wide = max(len(finding.check) for finding in findings)
    for finding in findings:
        click.echo(f"{MARKS[finding.level]}  {finding.check:<{wide}}  {finding.sentence}", err=err)
        if finding.remedy:
            click.echo(f"{'':<{wide + 6}}  → {finding.remedy}", err=err)
