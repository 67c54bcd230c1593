"""Database servers as people run them: products, versions, settings and privileges with which the service must work.

A name says what differs from a fresh server. Those of `MATRIX` differ in one thing each, so that a failure names its
cause; those of `COMBINED` in many at once, so that two servers cover most of the matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.support import PROJECT
from webapp.lab.services.data_directory import cached_data_directory
from webapp.lab.services.database_server import DatabaseServer, start_server
from webapp.lab.services.programs import Flavour, get_program

SCHEMA = "poolproof"
ACCOUNT, PASSWORD = "player", "a secret"
ALL = "ALL"
SERVICE_PRIVILEGES = "SELECT, INSERT, UPDATE, DELETE"
"""What the service itself does with its tables."""
LEAST_PRIVILEGES = f"{SERVICE_PRIVILEGES}, CREATE, ALTER, DROP, INDEX, REFERENCES"
"""The same, and what migrations do."""

EMPTY_MODE = "--sql-mode="
ANSI_MODE = "--sql-mode=ANSI"
NO_BACKSLASHES = "--sql-mode=NO_BACKSLASH_ESCAPES"
KOREAN = "--lc-messages=ko_KR"
TIME_ZONE = "--default-time-zone=+09:00"
NO_AUTOCOMMIT = "--autocommit=0"
SERIALIZABLE = "--transaction-isolation=SERIALIZABLE"
LOWER_CASE = "--lower-case-table-names=1"
LATIN1 = ("--character-set-server=latin1", "--collation-server=latin1_swedish_ci")
NEEDS_PRIMARY_KEY = "--sql-require-primary-key=ON"
PERFORMANCE_SCHEMA = "--performance-schema="


@dataclass(frozen=True)
class ServerConfiguration:
    """A server of a product with options, and the privileges of the service's account on its schema."""

    flavour: Flavour
    options: tuple[str, ...] = ()
    initial_options: tuple[str, ...] = ()
    """Options that hold from the making of the data directory on; MySQL takes lower_case_table_names only there."""
    privileges: str = ALL
    suite: str = "sid"
    """Debian's suite that the program comes from."""


def _compose_options() -> tuple[str, ...]:
    compose = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
    return tuple(compose["services"]["database"]["command"])


def _singles(flavour: Flavour) -> dict[str, ServerConfiguration]:
    options = {
        "defaults": (),
        "lc_messages=ko_KR": (KOREAN,),
        "lc_messages=de_DE": ("--lc-messages=de_DE",),
        "sql_mode=": (EMPTY_MODE,),
        "sql_mode=ANSI": (ANSI_MODE,),
        "sql_mode=NO_BACKSLASH_ESCAPES": (NO_BACKSLASHES,),
        "time_zone=+09:00": (TIME_ZONE,),
        "autocommit=0": (NO_AUTOCOMMIT,),
        "transaction_isolation=SERIALIZABLE": (SERIALIZABLE,),
        "latin1": LATIN1,
    }
    return {f"{flavour} {name}": ServerConfiguration(flavour, some) for name, some in options.items()}


MATRIX: dict[str, ServerConfiguration] = {
    **_singles("mysql"),
    "mysql of Docker Compose": ServerConfiguration("mysql", _compose_options()),
    "mysql lower_case_table_names=1": ServerConfiguration("mysql", initial_options=(LOWER_CASE,)),
    "mysql performance_schema=OFF": ServerConfiguration("mysql", (f"{PERFORMANCE_SCHEMA}OFF",)),
    "mysql sql_require_primary_key": ServerConfiguration("mysql", (NEEDS_PRIMARY_KEY,)),
    "mysql least privileges": ServerConfiguration("mysql", privileges=LEAST_PRIVILEGES),
    **_singles("mariadb"),
    "mariadb lower_case_table_names=1": ServerConfiguration("mariadb", initial_options=(LOWER_CASE,)),
    "mariadb performance_schema=ON": ServerConfiguration("mariadb", (f"{PERFORMANCE_SCHEMA}ON",)),
    "mariadb least privileges": ServerConfiguration("mariadb", privileges=LEAST_PRIVILEGES),
    "mariadb of Debian 12": ServerConfiguration("mariadb", suite="bookworm"),
}
COMBINED: dict[str, ServerConfiguration] = {
    "mysql with other defaults": ServerConfiguration(
        "mysql", (KOREAN, ANSI_MODE, TIME_ZONE, NO_AUTOCOMMIT, SERIALIZABLE, *LATIN1)
    ),
    "mysql with less": ServerConfiguration(
        "mysql",
        (NO_BACKSLASHES, NEEDS_PRIMARY_KEY, f"{PERFORMANCE_SCHEMA}OFF"),
        initial_options=(LOWER_CASE,),
        privileges=LEAST_PRIVILEGES,
    ),
    "mariadb with other defaults": ServerConfiguration(
        "mariadb",
        (KOREAN, ANSI_MODE, TIME_ZONE, NO_AUTOCOMMIT, SERIALIZABLE, *LATIN1),
        initial_options=(LOWER_CASE,),
        privileges=LEAST_PRIVILEGES,
    ),
}


def start_configured(configuration: ServerConfiguration, folder: Path) -> DatabaseServer:
    """Start such a server, with an empty schema of its own character set and the service's account."""
    program = get_program(configuration.flavour, configuration.suite)
    initial = configuration.initial_options
    template = cached_data_directory(program, *initial)
    server = start_server(program, template, folder / "server", *configuration.options, base_options=initial)
    server.execute(f"CREATE DATABASE {SCHEMA}")
    server.execute("CREATE USER %s@'%%' IDENTIFIED BY %s", (ACCOUNT, PASSWORD))
    grant(server, configuration.privileges)
    return server


def grant(server: DatabaseServer, privileges: str) -> None:
    """Grant the service's account these privileges on its schema."""
    server.execute(f"GRANT {privileges} ON {SCHEMA}.* TO %s@'%%'", (ACCOUNT,))


def url_of(server: DatabaseServer) -> str:
    """Return the address of the schema, with the service's account."""
    return server.url(SCHEMA, ACCOUNT, PASSWORD.replace(" ", "%20"))
