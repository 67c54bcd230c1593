"""Every test that names `app` runs on each database: a real MySQL of its own, and SQLite.

`--databases mysql,mariadb,sqlite` chooses; TEST_DATABASE_URL names a server to use instead
of starting one (its account must be allowed to create schemas). After each test nothing may
be out: no connection, no thread, no context.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from flask import Flask, has_app_context
from flask.testing import FlaskClient
from sqlalchemy import create_engine, make_url, text

from tests.support.clock import SettableClock
from webapp import create_app, schema
from webapp.accounts import passwords, users
from webapp.accounts.roles import Role
from webapp.attempts.board import Boards
from webapp.extensions import db
from webapp.lab.factories import settings_for
from webapp.lab.services.database_server import Server, new_server
from webapp.lab.services.programs import Flavour
from webapp.pooling.extension import Pooling
from webapp.pooling.work import Work
from webapp.quizzes.shelf import Shelf
from webapp.web import logs

# A machine that is busy is slow; that is no fault of the code under test.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")

PASSWORD = "a long enough password"
# Made once: argon2 is slow on purpose.
PASSWORD_HASH = passwords.hash_password(PASSWORD)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--databases", default="mysql,sqlite", help="which databases to test on")
    parser.addoption("--require", default="", help="fail unless tests ran on this database")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SERVERS] = Servers(config)
    config.stash[PASSED] = {}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database" in metafunc.fixturenames:
        databases = metafunc.config.getoption("--databases").split(",")
        metafunc.parametrize("database", databases, scope="session")


REAL_CLOCKS = {"faults", "journeys", "lab"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Real processes by the clock on the wall, and a machine that is shared stands still for seconds now and then. What
    # fails there is tried once more, and named in the summary (RERUN); what fails twice has failed.
    for item in items:
        if item.path.parent.name in REAL_CLOCKS:
            item.add_marker(pytest.mark.flaky(reruns=1))


class Servers:
    """The servers of this run, started when first asked for and stopped at its end."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.running: dict[str, Server] = {}

    def url(self, flavour: str, schema: str, folder: Path) -> str:
        """Return the address of a fresh, empty schema."""
        if flavour == "sqlite":
            for old in folder.glob(f"{schema}.sqlite*"):
                old.unlink()
            return f"sqlite:///{folder / schema}.sqlite"
        if given := os.environ.get("TEST_DATABASE_URL"):
            return _empty_schema(given, schema)
        if flavour not in self.running:
            self.running[flavour] = new_server(flavour, folder / flavour)
        server = self.running[flavour]
        server.execute(f"DROP DATABASE IF EXISTS {schema}")
        server.create_database(schema)
        return server.url(schema)

    def stop(self) -> None:
        for server in self.running.values():
            server.stop()


SERVERS: pytest.StashKey[Servers] = pytest.StashKey()
PASSED: pytest.StashKey[dict[str, int]] = pytest.StashKey()
MISSING: pytest.StashKey[str] = pytest.StashKey()


def pytest_unconfigure(config: pytest.Config) -> None:
    if SERVERS in config.stash:
        config.stash[SERVERS].stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.when == "call" and report.passed:
        for database in ("mysql", "mariadb", "sqlite"):
            if database in item.keywords or (
                hasattr(item, "callspec") and item.callspec.params.get("database") == database
            ):
                counts = item.config.stash[PASSED]
                counts[database] = counts.get(database, 0) + 1
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    counts = config.stash[PASSED]
    for database, count in sorted(counts.items()):
        running = config.stash[SERVERS].running.get(database)
        name = f"real {database} {running.version}" if running else database
        terminalreporter.write_line(f"passed on {name}: {count} tests")
    if MISSING in config.stash:
        terminalreporter.write_line(f"No test ran on {config.stash[MISSING]}: the run fails.", red=True)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    required = session.config.getoption("--require")
    if required and not session.config.stash[PASSED].get(required) and exitstatus == 0:
        session.config.stash[MISSING] = required
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def _push_request_context() -> None:
    """Take pytest-flask's place: it keeps a context around each test, and with it teardown never runs."""


@pytest.fixture(scope="session")
def new_schema(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], str]:
    """Make a fresh schema: `new_schema("mysql", "name")` returns its address."""
    folder = tmp_path_factory.mktemp("servers")
    return lambda flavour, name: request.config.stash[SERVERS].url(flavour, name, folder)


@pytest.fixture(scope="session")
def server_flavour(request: pytest.FixtureRequest) -> Flavour:
    """Name the database server of this run, for tests that need one that is no file."""
    servers = [name for name in request.config.getoption("--databases").split(",") if name != "sqlite"]
    if not servers:
        pytest.skip("this run has no database server")
    return servers[0]


@pytest.fixture(scope="session")
def app_on_database(
    database: str, new_schema: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Flask]:
    """One migrated app for each database; `app` empties its tables between tests."""
    app = create_app(settings_for(new_schema(database, "poolproof_test"), tmp_path_factory.mktemp("instance")))
    app.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
    # What a test has published is seen at once.
    app.extensions["playing"].shelf = app.extensions["shelf"] = Shelf(app.extensions["pooling"].work.read, seconds=0)
    schema.upgrade(app)
    yield app
    pooling = app.extensions["pooling"]
    for lane in pooling.lanes:
        lane.engine.dispose()


@pytest.fixture
def app(app_on_database: Flask) -> Iterator[Flask]:
    # SQLite gives the ids of deleted versions again, which never happens outside of tests.
    app_on_database.extensions["playing"].boards = Boards(app_on_database.extensions["pooling"].work.read, seconds=0)
    before = threading.active_count()
    yield app_on_database
    app_on_database.extensions["playing"].writer.group.stop()
    logs.write_what_is_left()
    assert not has_app_context(), "a test left an app context behind"
    assert app_on_database.extensions["pooling"].work.engine.pool.checkedout() == 0, "a connection was not given back"
    assert threading.active_count() <= before, "a thread was left behind"
    with app_on_database.extensions["pooling"].work.transaction() as connection:
        for table in reversed(db.metadata.sorted_tables):
            connection.execute(table.delete())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SettableClock:
    """Let a test advance the process's monotonic clock."""
    clock = SettableClock(time.monotonic)
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


@pytest.fixture
def pooling(app: Flask) -> Pooling:
    return app.extensions["pooling"]


@pytest.fixture
def work(pooling: Pooling) -> Work:
    return pooling.work


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def author(app: Flask, work: Work, client: FlaskClient) -> dict[str, str]:
    """Headers of a request in an author's name."""
    work.transact(lambda connection: users.add(connection, "ada", PASSWORD_HASH, Role.AUTHOR))
    answer = client.post("/api/v1/tokens", json={"name": "ada", "password": PASSWORD})
    return {"Authorization": f"Bearer {answer.json['token']}"}


def _empty_schema(server_url: str, schema: str) -> str:
    url = make_url(server_url)
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {schema}"))
        connection.execute(text(f"CREATE DATABASE {schema} CHARACTER SET utf8mb4"))
    engine.dispose()
    return url.set(database=schema).render_as_string(hide_password=False)
