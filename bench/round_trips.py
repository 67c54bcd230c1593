"""Measures what a unit of work costs on a real MySQL with SQLAlchemy and with ours: `python bench/round_trips.py`.

Prints statements (as the server counts them) and microseconds for a read and for a write, measured by turns; exits 1
when ours sends more statements than it promises.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import Engine, create_engine, make_url, text

from poolproof.engine import configure_engine, engine_options
from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.lab.services.database_server import DatabaseServer, new_server

CYCLES, ROUNDS = 500, 7
READ = text("SELECT 1")
WRITE = text("INSERT INTO counted VALUES (1) ON DUPLICATE KEY UPDATE number = number")
PROMISED = {"read": 1, "write": 3}
Contender = tuple[Engine, Callable[[Engine], None], Callable[[Engine], None]]
"""An engine with its read and its write."""


def plain_read(engine: Engine) -> None:
    """A read as SQLAlchemy's tutorial has it."""
    with engine.connect() as connection:
        connection.execute(READ)


def plain_write(engine: Engine) -> None:
    """A write as SQLAlchemy's tutorial has it."""
    with engine.begin() as connection:
        connection.execute(WRITE)


def our_read(engine: Engine) -> None:
    """A read in our unit of work."""
    with UnitOfWork(engine).read() as connection:
        connection.execute(READ)


def our_write(engine: Engine) -> None:
    """A write in our unit of work."""
    with UnitOfWork(engine).transaction() as connection:
        connection.execute(WRITE)


def contenders(url: str) -> dict[str, Contender]:
    """Return the engines that are compared, each with its read and its write."""
    no_tls = {"ssl_disabled": True}
    settings = PoolSettings()
    ours = create_engine(url, **engine_options(settings, make_url(url), threads=1))
    configure_engine(ours, settings)
    return {
        "default": (create_engine(url, connect_args=no_tls), plain_read, plain_write),
        "default, pre_ping": (create_engine(url, connect_args=no_tls, pool_pre_ping=True), plain_read, plain_write),
        "ours": (ours, our_read, our_write),
    }


def statement_count(server: DatabaseServer) -> int:
    """Return how many statements the server has executed so far."""
    ((_, count),) = server.execute("SHOW GLOBAL STATUS LIKE 'Questions'")
    return int(count)


def measure(
    server: DatabaseServer, engines: dict[str, Contender], kind: str
) -> tuple[dict[str, float], dict[str, float]]:
    """Return, for each contender, median seconds of a unit of work and its statements."""
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    statements: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, (engine, read, write) in engines.items():
            unit = read if kind == "read" else write
            unit(engine)
            before, started_at = statement_count(server), time.perf_counter()
            for _ in range(CYCLES):
                unit(engine)
            seconds[name].append((time.perf_counter() - started_at) / CYCLES)
            statements[name] = round((statement_count(server) - before) / CYCLES, 1)
    return {name: statistics.median(values) for name, values in seconds.items()}, statements


def main() -> None:
    """Measure by turns, print, and check."""
    missed = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as cleanup:
        server = new_server("mysql", Path(folder) / "server")
        cleanup.callback(server.stop)
        server.create_database("bench")
        server.execute("CREATE TABLE counted (number INT PRIMARY KEY)", database="bench")
        engines = contenders(server.url("bench"))
        for kind in ("read", "write"):
            medians, statements = measure(server, engines, kind)
            for name, median in medians.items():
                ratio = median / medians["default"]
                print(f"{kind:<6} {name:<18} {statements[name]:4} statements {median * 1e6:7.0f} µs {ratio:6.2f} ×")
            if statements["ours"] > PROMISED[kind]:
                missed.append(kind)
        for engine, *_ in engines.values():
            engine.dispose()
    if missed:
        sys.exit(f"more statements than promised: {', '.join(missed)}")


if __name__ == "__main__":
    main()
