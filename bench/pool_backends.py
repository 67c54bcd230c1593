"""What the pools of a bench connect to: SQLite in memory, or a server that is started for it."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pymysql

from webapp.lab.services.database_server import DatabaseServer, new_server
from webapp.lab.services.postgresql_server import PostgresqlServer, start_postgresql


def in_memory() -> Any:
    """A connection to a database of its own; Any, for SQLite's class lacks what SQLAlchemy's protocol names."""
    return sqlite3.connect(":memory:", check_same_thread=False)


def sleep(connection: Any, seconds: float) -> None:
    """Hold a connection that has nothing to do."""
    time.sleep(seconds)


def sleep_on_server(connection: Any, seconds: float) -> None:
    """Hold a connection by a statement that takes so long."""
    with connection.cursor() as cursor:
        cursor.execute(backend.sleep, (seconds,))
        cursor.fetchall()


@dataclass
class Backend:
    """What the pools connect to, and how a connection is held."""

    url: str = "sqlite://"
    """The dialect alone: `connect` knows the rest."""
    connect: Callable[[], Any] = in_memory
    hold: Callable[[Any, float], None] = sleep
    sleep: str = ""
    """The statement that takes so many seconds."""


backend = Backend()


@contextmanager
def on_server(name: str) -> Iterator[None]:
    """Connect to a server of its own while the block runs; "": to SQLite in memory."""
    if not name:
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        server = (connect_to_postgresql if name == "postgresql" else connect_to_mysql)(Path(folder) / "server")
        backend.hold = sleep_on_server
        try:
            yield
        finally:
            server.stop()


def connect_to_mysql(folder: Path) -> DatabaseServer:
    """Start a MySQL, and let the pools connect to it."""
    server = new_server("mysql", folder)
    backend.url, backend.sleep = "mysql+pymysql://", "SELECT SLEEP(%s)"
    backend.connect = lambda: pymysql.connect(host="127.0.0.1", port=server.port, user="root", ssl_disabled=True)
    return server


def connect_to_postgresql(folder: Path) -> PostgresqlServer:
    """Start a PostgreSQL, and let the pools connect to it."""
    server = start_postgresql(folder)
    backend.url, backend.sleep = "postgresql+psycopg://", "SELECT pg_sleep(%s)"
    backend.connect = lambda: psycopg.connect(
        host="127.0.0.1", port=server.port, user="postgres", dbname="postgres", sslmode="disable"
    )
    return server
