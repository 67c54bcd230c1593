"""Every test that names `app` runs on each database: a real MySQL of its own, and SQLite.

`--databases mysql,mariadb,sqlite` chooses; TEST_DATABASE_URL names a server to use instead
of starting one (its account must be allowed to create schemas). After each test nothing may
be out: no connection, no thread, no context; after a run no process, port or file either.

A run starts and imports only what its tests use: the app is imported by the fixtures below.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from poolproof import event_log
from tests.support import selection
from tests.support.accounts import PASSWORD_HASH
from tests.support.clock import SettableClock
from tests.support.databases import Databases
from tests.support.leftovers import Leftovers
from tests.support.summary import Summary

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from sqlalchemy import URL

    from poolproof.integrations.flask_ext import PoolingState
    from poolproof.transactions.unit_of_work import UnitOfWork
    from webapp.lab.services.postgresql_server import PostgresqlServer
    from webapp.lab.services.programs import Flavour

# A machine that is busy is slow; that is no fault of the code under test. Every run is the same, but for the soak's.
hypothesis.settings.register_profile("same", deadline=None, derandomize=True)
hypothesis.settings.register_profile("soak", deadline=None)

SUMMARY: pytest.StashKey[Summary] = pytest.StashKey()
LEFTOVERS: pytest.StashKey[Leftovers] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--databases", default="mysql,sqlite", help="which databases to test on")
    parser.addoption("--require", default="", help="fail unless tests ran on this database")
    parser.addoption("--worker-class", default="", help="gthread: run all services on Gunicorn's own worker")
    parser.addoption("--only-with-database", action="store_true", help="leave out what runs alike on every database")


def pytest_configure(config: pytest.Config) -> None:
    _hear_ctrl_c()
    if worker_class := config.getoption("worker_class"):
        from webapp.lab.services.poolproof_service import COMMON_SETTINGS

        COMMON_SETTINGS["POOLPROOF_WORKER_CLASS"] = worker_class
    hypothesis.settings.load_profile("soak" if config.getoption("markexpr") == "soak" else "same")
    # With pytest-xdist a worker judges nothing: it tells the main process what it knows.
    is_worker = hasattr(config, "workerinput")
    config.stash[LEFTOVERS] = Leftovers(is_worker=is_worker)
    config.stash[SUMMARY] = Summary("" if is_worker else config.getoption("--require"))
    config.pluginmanager.register(config.stash[SUMMARY])


def _hear_ctrl_c() -> None:
    """Let Ctrl-C mean here, and in every process that a test starts, what it means on a terminal.

    A shell without job control starts background jobs with SIGINT ignored. That is inherited, also through exec, and
    Python installs its KeyboardInterrupt handler only where SIGINT is not ignored.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database" in metafunc.fixturenames:
        databases = metafunc.config.getoption("--databases").split(",")
        metafunc.parametrize("database", databases, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    selection.order(items)
    if config.getoption("--only-with-database"):
        selection.only_with_database(config, items)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Take over what a worker of pytest-xdist knows."""
    told = getattr(node, "workeroutput", {})
    if "summary" in told:
        node.config.stash[SUMMARY].add(told["summary"])
        node.config.stash[LEFTOVERS].found += told["leftovers"]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """All fixtures are gone, and the workers of pytest-xdist have ended: judge the run."""
    config = session.config
    summary, leftovers = config.stash[SUMMARY], config.stash[LEFTOVERS]
    summary.count_starts()
    # The threads that look after the pools and write the log, one of each in a process.
    if housekeeper := sys.modules.get("poolproof.health.housekeeper"):
        housekeeper.stop()
    if log_config := sys.modules.get("webapp.web.log_config"):
        log_config.flush_request_log()
    leftovers.found += leftovers.look(patiently=session.exitstatus != pytest.ExitCode.INTERRUPTED)
    if hasattr(config, "workeroutput"):
        config.workeroutput.update(summary=summary.to_hand_over(), leftovers=leftovers.found)
        return
    summary.judge(session)
    if leftovers.found and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if found := config.stash[LEFTOVERS].found:
        terminalreporter.section("left behind: the run fails", red=True)
        for one in found:
            terminalreporter.write_line(one)


def pytest_unconfigure(config: pytest.Config) -> None:
    if LEFTOVERS in config.stash:
        config.stash[LEFTOVERS].forget()


@pytest.fixture
def recorded_events(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Return the events of the test; the log itself may be taken by an agent of this process at any time."""
    events: list[dict[str, str]] = []
    original = event_log.record

    def record(kind: str, sentence: str, *, site: str = "") -> None:
        events.append({"kind": kind, "sentence": sentence, "place": site})
        original(kind, sentence, site=site)

    monkeypatch.setattr(event_log, "record", record)
    # A test before this one may have recorded an event of the same kind in the last seconds.
    monkeypatch.setattr(event_log, "_last_recorded_at", {})
    return events


@pytest.fixture(autouse=True)
def _push_request_context() -> None:
    """Take pytest-flask's place: it keeps a context around each test, and with it teardown never runs."""


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    base = tmp_path_factory.getbasetemp()
    # The workers of pytest-xdist have folders of their own in one.
    shared = base.parent if hasattr(request.config, "workerinput") else base
    databases = Databases(tmp_path_factory.mktemp("servers"), shared)
    yield databases
    databases.stop()
    request.config.stash[SUMMARY].versions.update(databases.versions)


@pytest.fixture(scope="session")
def new_schema(databases: Databases) -> Callable[[str, str], str]:
    """Make an empty schema: `new_schema("mysql", "name")` returns its address."""
    return databases.empty


@pytest.fixture(scope="session")
def migrated_schema(databases: Databases) -> Callable[[str, str], str]:
    """Make a schema with all tables."""
    return lambda flavour, name: databases.copy(flavour, name, "migrated")


@pytest.fixture(scope="session")
def prepared_schema(databases: Databases) -> Callable[[str, str], str]:
    """Make a schema as it is after a service's first start, but with an author whose password is known."""
    return lambda flavour, name: databases.copy(flavour, name, "prepared")


@pytest.fixture(scope="session")
def server_flavour(request: pytest.FixtureRequest) -> Flavour:
    """Name the database server of this run, for tests that need one that is no file."""
    servers: list[Flavour] = [name for name in request.config.getoption("--databases").split(",") if name != "sqlite"]
    if not servers:
        pytest.skip("this run has no database server")
    return servers[0]


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresqlServer]:
    """Start a PostgreSQL, for tests of poolproof alone; a test that breaks it brings it back."""
    from webapp.lab.services.postgresql_server import start_postgresql

    server = start_postgresql(tmp_path_factory.mktemp("postgresql") / "server", "max_connections=40")
    yield server
    server.kill()


@pytest.fixture(params=["psycopg", pytest.param("psycopg2", marks=pytest.mark.soak)], scope="module")
def postgresql_url(request: pytest.FixtureRequest, postgresql: PostgresqlServer) -> URL:
    """Make a database for each test file and driver: files run in any order, and each finds only what it has made."""
    from tests.support.postgresql import new_database

    return new_database(postgresql, request.param)


@pytest.fixture(scope="session")
def app_on(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Flask]]:
    """One migrated app for each database, made when it is first asked for and kept; `app` empties its tables."""
    from tests.support.application import app_on, make_ready_for_tests

    with ExitStack() as kept:

        @cache
        def make(database: str) -> Flask:
            url = databases.copy(database, "poolproof_test", "migrated")
            app = kept.enter_context(app_on(url, tmp_path_factory.mktemp("instance")))
            make_ready_for_tests(app)
            return app

        yield make


@pytest.fixture
def app(app_on: Callable[[str], Flask], database: str) -> Iterator[Flask]:
    from tests.support.application import lent

    with lent(app_on(database)) as app:
        yield app


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SettableClock:
    """Let a test advance the process's monotonic clock, and with it the one that goes on while the machine sleeps."""
    clock = SettableClock(time.monotonic)
    monkeypatch.setattr(time, "monotonic", clock)
    monkeypatch.setattr("poolproof.runtime.clock.since_boot", clock)
    return clock


@pytest.fixture
def pooling(app: Flask) -> PoolingState:
    pooling: PoolingState = app.extensions["pooling"]
    return pooling


@pytest.fixture
def work(pooling: PoolingState) -> UnitOfWork:
    return pooling.work


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def author(app: Flask, work: UnitOfWork, client: FlaskClient) -> dict[str, str]:
    """Headers of a request in an author's name."""
    from tests.support.sessions import token_of
    from webapp.accounts import users
    from webapp.accounts.roles import Role

    work.run_in_transaction(lambda connection: users.add(connection, "ada", PASSWORD_HASH, Role.AUTHOR))
    return {"Authorization": f"Bearer {token_of(client, work, 'ada')}"}


@pytest.fixture
def studio(client: FlaskClient, author: dict[str, str], work: UnitOfWork) -> FlaskClient:
    """A browser of the author, who is signed in."""
    from tests.support.sessions import sign_in

    sign_in(client, work, "ada")
    return client
