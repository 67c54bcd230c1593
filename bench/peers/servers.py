"""The services that `make bench` compares: how each is started, on which database, with what beside it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers import Server, die_with_parent, free_port

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
PEERS = PROJECT / ".venv" / "peers" / "bin"
LIBMARIADB_PLUGINS = "usr/lib/*/libmariadb3/plugin"
START_WITHIN = 60.0


@dataclass(frozen=True)
class Contender:
    """A service to compare; `command` has a `{port}`, `url` the scheme under which it names its database."""

    name: str
    title: str
    command: tuple[str, ...]
    url: str = "mysql+pymysql"
    folder: Path = HERE
    environment: dict[str, str] = field(default_factory=dict)
    ready: str = "/quizzes/push"
    """What it answers when it is ready."""
    has_database: bool = True


@dataclass(frozen=True)
class Running:
    """A contender that answers."""

    contender: Contender
    port: int
    process: subprocess.Popen[bytes]
    database: str


def gunicorn(application: str, threads: int) -> tuple[str, ...]:
    """Return the command of a Gunicorn with two workers of so many threads."""
    return (
        str(PEERS / "gunicorn"), "--worker-class", "gthread", "--workers", "2", "--threads", str(threads),
        "--keep-alive", "15", "--bind", "127.0.0.1:{port}", "--log-level", "warning", "--no-control-socket",
        application,
    )  # fmt: skip


OURS = Contender(
    "poolproof",
    "Poolproof",
    (sys.executable, "-m", "webapp", "serve"),
    folder=PROJECT,
    ready="/healthz",
    # Steady answers are sixty-four players that send more than a person can.
    environment={"POOLPROOF_WRITES_PER_SECOND": "0"},
)
FLASK_ORM = Contender("flask_orm", "(a) Flask-SQLAlchemy, defaults, 2 × 64 threads", gunicorn("flask_orm:app", 64))
FASTAPI = Contender(
    "fastapi",
    "(b) FastAPI, async SQLAlchemy, asyncmy, pool 10 + 20",
    (
        str(PEERS / "uvicorn"), "fastapi_async:app", "--workers", "2", "--port", "{port}", "--no-access-log",
        "--log-level", "warning",
    ),
    url="mysql+asyncmy",
)  # fmt: skip
DJANGO = Contender(
    "django", "(c) Django, mysqlclient, 2 × 8 threads", gunicorn("django_peer.wsgi:application", 8), url="mysql"
)
FLASK_ALONE = Contender(
    "flask_alone", "(d) Flask without a database", gunicorn("flask_alone:app", 8), has_database=False
)


@contextmanager
def running(contender: Contender, server: Server, folder: Path) -> Iterator[Running]:
    """Serve from a fresh database of its own until the block ends."""
    folder.mkdir(parents=True)
    database = f"bench_{folder.name}"
    server.execute(f"CREATE DATABASE `{database}` CHARACTER SET utf8mb4")
    if contender.name != OURS.name and contender.has_database:
        for statement in (HERE / "tables.sql").read_text().split(";\n"):
            if statement.strip():
                server.execute(statement, database=database)
    port = free_port()
    log = (folder / "log").open("wb")
    process = subprocess.Popen(  # noqa: S603 - a command of ours
        [part.format(port=port) for part in contender.command],
        cwd=contender.folder, env=_environment(contender, server, folder, database, port),
        stdout=log, stderr=log, preexec_fn=die_with_parent,  # noqa: PLW1509 - it takes its workers along
    )  # fmt: skip
    try:
        _wait_for(port, process, folder / "log", contender)
        yield Running(contender, port, process, database)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)
        log.close()
        server.execute(f"DROP DATABASE `{database}`")


def _environment(contender: Contender, server: Server, folder: Path, database: str, port: int) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    address = server.url(database).replace("mysql+pymysql", contender.url)
    plugins = next(iter(_cache().glob(f"libmariadb-*/{LIBMARIADB_PLUGINS}")), None)
    ours = {"POOLPROOF_INSTANCE": str(folder / "instance"), "POOLPROOF_BIND": f"127.0.0.1:{port}"}
    return {
        **kept,
        "DATABASE_URL": address,
        "PYTHONDONTWRITEBYTECODE": "1",
        **({"MARIADB_PLUGIN_DIR": str(plugins)} if plugins else {}),
        **(ours if contender.name == OURS.name else {}),
        **contender.environment,
    }


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "poolproof"


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path, contender: Contender) -> None:
    deadline = time.monotonic() + START_WITHIN
    ask = f"GET {contender.ready} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with closing(socket.create_connection(("127.0.0.1", port), timeout=5)) as connection:
                connection.sendall(ask)
                if b" 200 " in connection.recv(100):
                    return
        except OSError:
            pass
        time.sleep(0.1)
    sys.exit(f"{contender.title} did not start; its log:\n{log.read_text()[-3000:]}")
