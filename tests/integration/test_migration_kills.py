"""A start, or a way down, that is killed at any statement: the next start succeeds, and the tables equal fresh ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import make_url

from tests.support import snapshots
from tests.support.databases import Databases
from tests.support.migration_runner import Kill
from tests.support.migration_starts import Described, NewSchema, Runner, described
from tests.support.narrowing import not_none
from webapp.lab.services.database_server import DatabaseServer
from webapp.migration_lease.row_lease import LEASE_TABLE

SCHEMA = "poolproof"
KILLED = -9
OPTIONS = ("--innodb-flush-log-at-trx-commit=2",)
"""What a process has written outlives it without being flushed to the disk."""
SERVER_DELAYS = (0.0, 0.001, 0.003, 0.008, 0.02)
"""Seconds by which a server outlives the beginning of the statement in which it is killed, by turns."""


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    runner = Runner(tmp_path_factory.mktemp("instance"), expires_after=0.2)
    yield runner
    runner.end()


def definitions(tables: dict[str, Described]) -> dict[str, str]:
    return {name: definition for name, (definition, _) in tables.items()}


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_after_a_start_that_was_killed_the_next_one_succeeds(
    database: str, new_schema: NewSchema, runner: Runner, share: float
) -> None:
    count, fresh = runner.fresh(database, new_schema)
    url = new_schema(database, "killed")
    status, output = runner.run("start", url, Kill(round(count * share)))
    assert status == KILLED, output
    runner.succeed("start", url)
    assert described(url) == fresh


@pytest.mark.parametrize("is_repeated", [True, False], ids=["down again", "up"])
def test_after_a_way_down_that_was_killed_the_way_down_and_a_start_succeed(
    database: str, new_schema: NewSchema, runner: Runner, is_repeated: bool
) -> None:
    _, fresh = runner.fresh(database, new_schema)
    url = new_schema(database, "killed")
    runner.succeed("start", url)
    # A few of the tables are gone by then.
    assert runner.run("down", url, Kill(12))[0] == KILLED
    check_after(runner, url, fresh, is_repeated=is_repeated)


def check_after(runner: Runner, url: str, fresh: dict[str, Described], *, is_repeated: bool) -> None:
    """Repeat the way down if wanted; the next start makes what a fresh one does.

    Without that, rows of tables that were not reached stay, and the start adds none to them.
    """
    if is_repeated:
        runner.succeed("down", url)
        assert described(url).keys() - {LEASE_TABLE} == {"alembic_version"}
    runner.succeed("start", url)
    assert definitions(described(url)) == definitions(fresh)
    assert not is_repeated or described(url) == fresh


class Victims:
    """A server, what a fresh start makes of a schema on it, and how many statements it takes up and down."""

    def __init__(self, server: DatabaseServer, runner: Runner) -> None:
        self.server = server
        self.url = make_url(server.url(SCHEMA)).render_as_string(hide_password=False)
        self._runner = runner
        self.counts = {"start": runner.succeed("start", self.url)}
        self.fresh = described(self.url)
        self._snapshot = snapshots.take(server, SCHEMA)
        self.counts["down"] = runner.succeed("down", self.url)

    def prepare(self, action: str) -> None:
        """Make the schema as it is before the action."""
        if action == "start":
            self.server.execute(f"DROP DATABASE `{SCHEMA}`")
            self.server.create_database(SCHEMA)
        else:
            snapshots.restore(self.server, SCHEMA, self._snapshot)

    def check(self, action: str, *, is_repeated: bool) -> None:
        """After the action was cut off; see `check_after`."""
        check_after(self._runner, self.url, self.fresh, is_repeated=action == "down" and is_repeated)
        assert action == "down" or described(self.url) == self.fresh
        assert not [name for name in self._files() if "#sql" in name]

    def _files(self) -> set[str]:
        return {path.name for path in (self.server.data / SCHEMA).iterdir()}


@pytest.fixture(params=["mysql", "mariadb"])
def victims(request: pytest.FixtureRequest, databases: Databases, runner: Runner) -> Victims:
    return Victims(databases.breakable(request.param, *OPTIONS), runner)


@pytest.mark.soak
@pytest.mark.parametrize("action", ["start", "down"])
def test_a_process_may_be_killed_at_every_statement(
    victims: Victims, runner: Runner, action: str, record_property: Callable[[str, object], None]
) -> None:
    count = victims.counts[action]
    points = [Kill(at) for at in range(1, count + 1)] + [Kill(at, "during") for at in range(1, count + 1, 3)]
    for kill in points:
        victims.prepare(action)
        status, output = runner.run(action, victims.url, kill)
        # A kill while the last statement runs may come too late.
        assert status == KILLED or (kill.at, kill.when) == (count, "during"), (kill, output)
        victims.check(action, is_repeated=kill.at % 2 == 1)
    record_property("kill points", len(points))


@pytest.mark.soak
@pytest.mark.parametrize("action", ["start", "down"])
def test_a_server_may_be_killed_at_every_statement(
    victims: Victims, runner: Runner, action: str, record_property: Callable[[str, object], None]
) -> None:
    count = victims.counts[action]
    for at in range(1, count + 1):
        victims.prepare(action)
        pid, delay = not_none(victims.server.process).pid, SERVER_DELAYS[at % len(SERVER_DELAYS)]
        runner.run(action, victims.url, Kill(at, "during", pid, delay))
        victims.server.kill()
        victims.server.start(*OPTIONS)
        victims.check(action, is_repeated=at % 2 == 1)
    record_property("kill points", count)
