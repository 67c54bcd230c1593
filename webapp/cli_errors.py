"""Errors of a command, reported in one sentence. Loaded when there is an error."""

from __future__ import annotations

import click
from sqlalchemy.exc import OperationalError

from poolproof.drivers.mysql import errors as mysql_errors
from poolproof.errors import PoolConfigurationError
from webapp.errors import DomainError
from webapp.schema import UnknownRevisionError
from webapp.settings import SettingsError


def report_error(error: Exception) -> bool:
    """Print an error in one sentence; return False for a bug, which has none and needs its traceback."""
    message = describe_error(error)
    if message is None:
        return False
    click.echo(f"Error: {message}", err=True)
    return True


def describe_error(error: Exception) -> str | None:
    """Return an error in one sentence for the person who ran the command; None for a bug."""
    if isinstance(error, DomainError):
        return error.detail
    if isinstance(error, OperationalError):
        what = "The database cannot be reached" if mysql_errors.is_unavailable(error) else "The database refused"
        return f"{what}: {error.orig.args[-1] if error.orig else error}"
    if isinstance(error, SettingsError | PoolConfigurationError | UnknownRevisionError):
        return str(error)
    return None
