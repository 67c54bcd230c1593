"""The doctor's findings as lines for a person, and the same checks before the first worker starts."""

from __future__ import annotations

import sys

import click
from sqlalchemy import Connection, make_url
from sqlalchemy.exc import OperationalError

from poolproof.capacity.budget import Finding, FleetSize, Level, run_checks
from poolproof.capacity.server_info import read_server_info
from poolproof.drivers.mysql.tls_errors import tls_refusal
from poolproof.engine import create_unpooled_engine
from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.db.privileges import missing_privileges
from webapp.web.redaction import redact

LEVEL_LABELS = {Level.OK: "ok  ", Level.WARN: "WARN", Level.FAIL: "FAIL"}


def print_findings(findings: list[Finding], *, err: bool = False) -> None:
    """Print each finding with its remedy, in columns."""
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        click.echo(f"{LEVEL_LABELS[finding.level]}  {finding.check:<{width}}  {finding.sentence}", err=err)
        if finding.remedy:
            click.echo(f"{'':<{width + 6}}  → {finding.remedy}", err=err)


def has_failure(findings: list[Finding]) -> bool:
    """Return whether a check fails."""
    return any(finding.level is Level.FAIL for finding in findings)


def check_deployment(connection: Connection, fleet: FleetSize, pool: PoolSettings) -> list[Finding]:
    """Return what there is to say about a fleet on the server behind `connection`, the good things too."""
    findings = run_checks(fleet, pool, read_server_info(connection))
    if missing := missing_privileges(connection):
        names = ", ".join(missing)
        sentence = f"The account lacks {names} on its schema: the service cannot store what people do."
        findings.append(Finding("grants", Level.FAIL, sentence, f"GRANT {names} on the schema to the account."))
    return findings


def check_at_boot(database_url: str, fleet: FleetSize, pool: PoolSettings) -> None:
    """Print what is wrong, as POOL_BOOT_CHECK asks; uses a connection of its own and closes it.

    Raises:
        SystemExit: when a check fails and POOL_BOOT_CHECK is strict.
    """
    if pool.boot_check == "off":
        return
    try:
        with UnitOfWork(create_unpooled_engine(make_url(database_url), pool, "boot")).read() as connection:
            findings = check_deployment(connection, fleet, pool)
    except OperationalError as error:
        refusal = tls_refusal(error)
        if refusal is None:
            # It may recover at any moment; until then requests get 503 and /readyz says why.
            message = redact(str(error.orig))
            click.echo(f"The budget could not be checked, the database does not respond: {message}", err=True)
            return
        findings = [Finding("tls", Level.FAIL, refusal)]
    if problems := [finding for finding in findings if finding.level is not Level.OK]:
        print_findings(problems, err=True)
    if pool.boot_check == "strict" and has_failure(findings):
        click.echo("Not started. Follow a remedy above, or set POOL_BOOT_CHECK=warn to start anyway.", err=True)
        sys.exit(1)
