"""What went wrong in a command, in one sentence. Loaded when something did."""

from __future__ import annotations

from sqlalchemy.exc import OperationalError

from poolproof.drivers.mysql.errors import UNAVAILABLE_CAUSES, transient_cause
from poolproof.errors import PoolConfigurationError
from webapp.errors import DomainError
from webapp.settings import SettingsError


def describe_error(error: Exception) -> str | None:
    """Return what to tell the person who called a command; None for a fault of ours, which keeps its traceback."""
    if isinstance(error, DomainError):
        return error.detail
    if isinstance(error, OperationalError):
        # A full server and a deadlock are transient, too, but the server did answer: its own sentence says more.
        is_unreachable = transient_cause(error) in UNAVAILABLE_CAUSES
        what = "The database cannot be reached" if is_unreachable else "The database refused"
        return f"{what}: {error.orig.args[-1] if error.orig else error}"
    if isinstance(error, SettingsError | PoolConfigurationError):
        return str(error)
    return None
