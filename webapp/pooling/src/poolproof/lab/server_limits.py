"""What the server of an application allows."""

from __future__ import annotations

from sqlalchemy import NullPool, create_engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from poolproof.adoption.doctor import SERVERS_READ
from poolproof.capacity.server_info import ServerInfo, read_server_info


class NoSuchServerError(Exception):
    """The database does not answer, or SQLAlchemy does not know the URL; the text says which."""


def read_limits(url: str) -> ServerInfo | None:
    """Return what the server says about itself; None where it cannot be asked.

    Raises:
        NoSuchServerError: when it does not answer.
    """
    try:
        engine = create_engine(url, poolclass=NullPool)
        with engine.connect() as connection:
            return read_server_info(connection) if engine.dialect.name in SERVERS_READ else None
    except (SQLAlchemyError, ImportError) as error:
        reason = getattr(error, "orig", None) or error
        raise NoSuchServerError(f"{redacted(url)}: {type(reason).__name__}: {reason}") from error


def redacted(url: str) -> str:
    """Return a URL without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return "The URL"
