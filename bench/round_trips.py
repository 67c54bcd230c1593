"""What a unit of work costs on a real MySQL, by three ways of ending transactions: `python bench/round_trips.py`.

Prints statements (as the server counts them) and microseconds for a read and for a write, by
turns; exits 1 when ours sends more statements than it promises.
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


def ways(url: str) -> dict[str, tuple[Engine, Callable[[Engine], None], Callable[[Engine], None]]]:
    """The engines that are compared, each with its read and its write."""
    no_tls = {"ssl_disabled": True}
    settings = PoolSettings()
    ours = create_engine(url, **engine_options(settings, make_url(url), threads=1))
    configure_engine(ours, settings)
    return {
        "default": (create_engine(url, connect_args=no_tls), plain_read, plain_write),
        "default, pre_ping": (create_engine(url, connect_args=no_tls, pool_pre_ping=True), plain_read, plain_write),
        "ours": (ours, our_read, our_write),
    }


def questions(server: DatabaseServer) -> int:
    """How many statements the server has been asked so far."""
    ((_, count),) = server.execute("SHOW GLOBAL STATUS LIKE 'Questions'")
    return int(count)


def main() -> None:
    """Measure by turns, print, judge."""
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        server = new_server("mysql", Path(folder) / "server")
        with ExitStack() as end:
            end.callback(server.stop)
            server.create_database("bench")
            server.execute("CREATE TABLE counted (number INT PRIMARY KEY)", database="bench")
            engines = ways(server.url("bench"))
            for kind in ("read", "write"):
                times: dict[str, list[float]] = {name: [] for name in engines}
                sent: dict[str, float] = {}
                for _ in range(ROUNDS):
                    for name, (engine, read, write) in engines.items():
                        cycle = read if kind == "read" else write
                        cycle(engine)
                        before, began = questions(server), time.perf_counter()
                        for _ in range(CYCLES):
                            cycle(engine)
                        times[name].append((time.perf_counter() - began) / CYCLES)
                        sent[name] = round((questions(server) - before) / CYCLES, 1)
                base = statistics.median(times["default"])
                for name, took in times.items():
                    median = statistics.median(took)
                    print(
                        f"{kind:<6} {name:<18} {sent[name]:4} statements {median * 1e6:7.0f} µs {median / base:6.2f} ×"
                    )
                if sent["ours"] > PROMISED[kind]:
                    missed.append(kind)
            for engine, *_ in engines.values():
                engine.dispose()
    if missed:
        sys.exit(f"more statements than promised: {', '.join(missed)}")


if __name__ == "__main__":
    main()
