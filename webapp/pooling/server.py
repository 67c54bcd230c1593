"""What the database server allows, as it says itself."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True)
class ServerFacts:
    """The server's own words; `wait_timeout` in seconds, None where there is none (SQLite)."""

    flavour: str
    version: str
    wait_timeout: int | None
    max_connections: int | None


def read_facts(connection: Connection) -> ServerFacts:
    """Ask the server behind `connection`, in one statement."""
    if connection.dialect.name == "sqlite":
        version = connection.execute(text("SELECT sqlite_version()")).scalar_one()
        return ServerFacts("sqlite", version, None, None)
    row = connection.execute(text("SELECT VERSION(), @@wait_timeout, @@max_connections")).one()
    flavour = "mariadb" if "mariadb" in row[0].lower() else "mysql"
    return ServerFacts(flavour, row[0], int(row[1]), int(row[2]))
