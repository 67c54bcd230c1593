"""The services that `make bench` compares: how each is started, on which database, with what beside it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from webapp.lab.services.database_server import DatabaseServer
from webapp.lab.services.debian import cache_folder
from webapp.lab.services.processes import free_port
from webapp.lab.services.service_process import ServiceSpec, gunicorn, run_service
from webapp.settings import child_environment

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
PEERS = PROJECT / ".venv" / "peers" / "bin"
LIBMARIADB_PLUGINS = "usr/lib/*/libmariadb3/plugin"


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
    database: str


def plain_gunicorn(application: str, threads: int) -> tuple[str, ...]:
    """Return the command of a Gunicorn with two workers of so many threads."""
    return tuple(gunicorn(application, 2, threads, program=(str(PEERS / "gunicorn"),)))


OURS = Contender(
    "poolproof",
    "Poolproof",
    (sys.executable, "-m", "webapp", "serve"),
    folder=PROJECT,
    ready="/healthz",
    # Steady answers are sixty-four players that send more than a person can.
    environment={"POOLPROOF_PLAYER_RATE_LIMIT": "0"},
)
FLASK_ORM = Contender(
    "flask_orm", "(a) Flask-SQLAlchemy, defaults, 2 × 64 threads", plain_gunicorn("flask_orm:app", 64)
)
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
    "django", "(c) Django, mysqlclient, 2 × 8 threads", plain_gunicorn("django_peer.wsgi:application", 8), url="mysql"
)
FLASK_ALONE = Contender(
    "flask_alone", "(d) Flask without a database", plain_gunicorn("flask_alone:app", 8), has_database=False
)


@contextmanager
def running(contender: Contender, server: DatabaseServer, folder: Path) -> Iterator[Running]:
    """Serve from a fresh database of its own until the block ends."""
    folder.mkdir(parents=True)
    database = f"bench_{folder.name}"
    server.create_database(database)
    if contender.name != OURS.name and contender.has_database:
        for statement in (HERE / "tables.sql").read_text().split(";\n"):
            if statement.strip():
                server.execute(statement, database=database)
    port = free_port()
    recipe = ServiceSpec(
        contender.title, contender.command, _environment(contender, server, folder, database, port), contender.ready,
        contender.folder,
    )  # fmt: skip
    try:
        with run_service(recipe, folder, port):
            yield Running(contender, port, database)
    finally:
        server.execute(f"DROP DATABASE `{database}`")


def _environment(
    contender: Contender, server: DatabaseServer, folder: Path, database: str, port: int
) -> dict[str, str]:
    address = server.url(database).replace("mysql+pymysql", contender.url)
    plugins = next(iter(cache_folder().glob(f"libmariadb-*/{LIBMARIADB_PLUGINS}")), None)
    ours = {
        "POOLPROOF_INSTANCE": str(folder / "instance"),
        "POOLPROOF_BIND": f"127.0.0.1:{port}",
        "POOLPROOF_CONSOLE_BIND": f"127.0.0.1:{free_port()}",
    }
    variables = {
        "DATABASE_URL": address,
        "PYTHONDONTWRITEBYTECODE": "1",
        **({"MARIADB_PLUGIN_DIR": str(plugins)} if plugins else {}),
        **(ours if contender.name == OURS.name else {}),
        **contender.environment,
    }
    return child_environment(variables, inherit_settings=False)
