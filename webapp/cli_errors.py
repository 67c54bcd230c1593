"""What went wrong in a command, in one sentence. Loaded when something did."""

from __future__ import annotations

from sqlalchemy.exc import OperationalError

from poolproof.drivers.mysql import errors as mysql_errors
from poolproof.errors import PoolConfigurationError
from webapp.errors import DomainError
from webapp.schema import UnknownRevisionError
from webapp.settings import SettingsError


def describe_error(error: Exception) -> str | None:
    """Return what to tell the person who called a command; None for a fault of ours, which keeps its traceback."""
    if isinstance(error, DomainError):
        return error.detail
    if isinstance(error, OperationalError):
        what = "The database cannot be reached" if mysql_errors.is_unavailable(error) else "The database refused"
        return f"{what}: {error.orig.args[-1] if error.orig else error}"
    if isinstance(error, SettingsError | PoolConfigurationError | UnknownRevisionError):
        return str(error)
    return None
