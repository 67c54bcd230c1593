"""Whether a database is ready to be served: checked at every start, by a few statements, without an app."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import make_url

from poolproof.engine import create_unpooled_engine
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp import schema
from webapp.accounts import users
from webapp.settings import Settings


def is_set_up(settings: Settings) -> bool:
    """Say whether the tables are current and there is an account that can sign in."""
    url = make_url(settings.database_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        # Connecting would create the file.
        return False
    with UnitOfWork(create_unpooled_engine(url, settings.pool, "boot")).read() as connection:
        return schema.is_current(connection) and not users.has_no_users(connection)
