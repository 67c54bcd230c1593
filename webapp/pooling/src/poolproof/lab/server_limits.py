"""What the server of an application allows, and the largest pool that it has room for."""

from __future__ import annotations

from sqlalchemy import NullPool, create_engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from poolproof.adoption.doctor import SERVERS_READ, check_server
from poolproof.capacity.budget import RELOAD_FACTOR, RESERVED_CONNECTIONS, Level
from poolproof.capacity.server_info import ServerInfo, read_server_info
from poolproof.lab.sizing.recommendation import FittedSize


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


def fit_app_to_server(size: int, workers: int, server: ServerInfo | None) -> FittedSize:
    """Return the size, or the largest below it with which so many processes fit the server."""
    for smaller in range(size, 0, -1):
        (finding,) = check_server("server", smaller, workers, server)
        if finding.level is Level.FAIL and smaller > 1:
            continue
        sentences = [finding.sentence, *([finding.remedy] if finding.remedy else [])]
        if smaller < size:
            sentences.append(f"{size} would be better, but the server has no room for it: raise its limit.")
        return FittedSize(smaller, workers * smaller * RELOAD_FACTOR + RESERVED_CONNECTIONS, tuple(sentences))
    raise ValueError("a pool has at least one connection")
