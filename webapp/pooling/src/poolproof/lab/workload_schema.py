"""Where a workload runs: on the tables as they are, or, if it makes tables, in a schema that is dropped afterwards."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, NullPool, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from poolproof.lab.scratch_schema import SCHEMA_PREFIX, ScratchSchemaError, create_scratch_schema


@contextmanager
def open_workload_schema(database_url: str, *, makes_tables: bool) -> Iterator[str]:
    """Yield the URL at which a workload runs.

    Raises:
        ScratchSchemaError: when the workload makes tables and there can be no schema of the lab's own for them.
    """
    url = make_url(database_url)
    if not makes_tables:
        if url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}:
            raise ScratchSchemaError("A database in memory has one connection; give SQLite a file.")
        yield database_url
        return
    match url.get_backend_name():
        case "mysql" | "mariadb":
            with create_scratch_schema(database_url, "size") as created:
                yield created
        case "postgresql":
            with _create_postgresql_schema(url) as created:
                yield created
        case "sqlite":
            with tempfile.TemporaryDirectory(prefix=SCHEMA_PREFIX) as folder:
                yield url.set(database=str(Path(folder) / "lab.sqlite")).render_as_string(hide_password=False)
        case other:
            raise ScratchSchemaError(
                f"The lab makes tables on MySQL, MariaDB, PostgreSQL and SQLite. For {other}, create them yourself and "
                "leave `setup` out of the workload."
            )


@contextmanager
def _create_postgresql_schema(url: URL) -> Iterator[str]:
    schema = f"{SCHEMA_PREFIX}size_{secrets.token_hex(4)}"
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(f"CREATE SCHEMA {schema}"))
    except DBAPIError as error:
        raise ScratchSchemaError(
            f"The role {url.username} may not make the lab's schema ({type(error.orig).__name__}). Allow it: "
            f'GRANT CREATE ON DATABASE "{url.database}" TO "{url.username}"'
        ) from error
    given = str(url.query.get("options", ""))
    options = f"{given} -csearch_path={schema}".strip()
    try:
        yield url.update_query_dict({"options": options}).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
