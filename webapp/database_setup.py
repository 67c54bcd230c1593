"""Whether a database is ready to be served: checked at every start, by a few statements, without an app."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Dialect, make_url

from poolproof.engine import create_unpooled_engine
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp import schema
from webapp.accounts import users
from webapp.settings import Settings

OLDEST_VERSIONS = {"MySQL": (8, 0, 4), "MariaDB": (10, 6, 0)}
"""The first with JSON_TABLE, by which the answers of many players are one statement."""


class UnsupportedServerError(Exception):
    """The database's server cannot do what the service needs; the text says which can."""


def is_set_up(settings: Settings) -> bool:
    """Say whether the tables are current and there is an account that can sign in.

    Raises:
        UnsupportedServerError: when the server is too old.
    """
    url = make_url(settings.database_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        # Connecting would create the file.
        return False
    with UnitOfWork(create_unpooled_engine(url, settings.pool, "boot")).read() as connection:
        check_version(connection.dialect)
        return schema.is_current(connection) and not users.has_no_users(connection)


def check_version(dialect: Dialect) -> None:
    """Refuse a server that is too old, by what SQLAlchemy has learnt at the first connect.

    Raises:
        UnsupportedServerError: when it is.
    """
    if dialect.name == "sqlite":
        return
    name = "MariaDB" if getattr(dialect, "is_mariadb", False) else "MySQL"
    found, oldest = dialect.server_version_info or (), OLDEST_VERSIONS[name]
    if tuple(found) < oldest:
        texts = [".".join(map(str, version)) for version in (found, oldest)]
        raise UnsupportedServerError(
            f"The server is {name} {texts[0]}; Poolproof needs {name} {texts[1]} or newer. Use a newer server."
        )
