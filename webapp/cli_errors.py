"""Errors of a command, reported in one sentence. Loaded when there is an error."""

from __future__ import annotations

import traceback

import click
from sqlalchemy.exc import OperationalError

from poolproof.drivers.errors import UNAVAILABLE_CAUSES, error_number, transient_cause
from poolproof.drivers.mysql.tls_errors import tls_refusal
from poolproof.errors import PoolConfigurationError
from webapp.database_setup import UnsupportedServerError
from webapp.errors import DomainError
from webapp.migration_lease.lease import MigrationError
from webapp.settings import SettingsError
from webapp.web.redaction import redact, redact_message


def report_error(error: Exception) -> bool:
    """Print an error in one sentence; return False for a bug, which has none and needs its traceback."""
    message = describe_error(error)
    if message is None:
        return False
    click.echo(f"Error: {message}", err=True)
    return True


def print_traceback(error: BaseException) -> None:
    """Print the traceback of a bug, without secrets: the log of a service may be where it is printed."""
    click.echo(redact("".join(traceback.format_exception(error))), err=True, nl=False)


def describe_error(error: Exception) -> str | None:
    """Return an error in one sentence for the person who ran the command; None for a bug."""
    if isinstance(error, DomainError):
        return error.detail
    if isinstance(error, OperationalError):
        if refusal := tls_refusal(error):
            return refusal
        # A full server and a deadlock are transient, too, but the server did answer: its own sentence says more.
        is_unreachable = transient_cause(error) in UNAVAILABLE_CAUSES
        what = "The database cannot be reached" if is_unreachable else "The database refused"
        return f"{what}: {_server_message(error)}"
    if isinstance(error, SettingsError | PoolConfigurationError | MigrationError | UnsupportedServerError):
        return str(error)
    return None


def _server_message(error: OperationalError) -> str:
    if error.orig is None:
        return redact(str(error))
    return redact_message(error_number(error), str(error.orig.args[-1]))
