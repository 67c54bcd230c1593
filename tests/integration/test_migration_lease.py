"""Several starts at once, a slow migration, a lease that is lost: one start works, the others wait."""

from __future__ import annotations

import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from poolproof.settings import PoolSettings
from tests.support.databases import Databases
from tests.support.migration_starts import NewSchema, Runner, described
from tests.support.trial_migration import add_migration
from tests.support.waiting import wait_until
from webapp import schema
from webapp.app import create_app
from webapp.database_setup import is_set_up
from webapp.lab.factories import make_settings
from webapp.lab.services.programs import Flavour
from webapp.migration_lease import lease, row_lease
from webapp.migration_lease.file_lease import hold_file
from webapp.migration_lease.hold import hold
from webapp.migration_lease.lease import MigrationError
from webapp.settings import Settings

IMPATIENT: dict[str, Any] = {"read_timeout": 1.0, "statement_timeout": 0.9, "write_timeout": 1.0}
"""Of the app: in seconds, less than the migrations below take."""
SLOW_SECONDS = 2.5
OTHER = "another machine, process 1, 0"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "POLL_INTERVAL", 0.05)
    monkeypatch.setattr(row_lease, "RENEWED_EVERY", 0.1)


def set_up(settings: Settings, revision: str = "head") -> None:
    schema.upgrade(create_app(settings, with_routes=False), revision)


def rows(url: str, statement: str) -> list[tuple[object, ...]]:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        result = connection.execute(text(statement))
        return [tuple(row) for row in result] if result.returns_rows else []


@pytest.fixture
def server_url(server_flavour: Flavour, migrated_schema: NewSchema) -> str:
    return migrated_schema(server_flavour, "poolproof_lease")


@pytest.fixture
def settings(server_url: str, tmp_path: Path) -> Settings:
    return make_settings(server_url, tmp_path, **IMPATIENT)


def test_a_migration_takes_longer_than_every_time_out_of_the_app(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_migration(tmp_path, monkeypatch, f"""
        steps.create_table("slow", sa.Column("slept", sa.Integer))
        steps.execute("INSERT INTO slow SELECT SLEEP({SLOW_SECONDS})")
    """)  # fmt: skip
    set_up(settings)
    # 1: the server has interrupted it.
    assert rows(settings.database_url, "SELECT slept FROM slow") == [(0,)]
    assert is_current(settings)


def is_current(settings: Settings) -> bool:
    engine = create_engine(settings.database_url, poolclass=NullPool)
    with engine.connect() as connection:
        return schema.is_current(connection)


def test_a_slow_migration_keeps_its_lease_and_the_others_go_on_when_it_has_ended(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(row_lease, "EXPIRES_AFTER", SLOW_SECONDS / 2)
    up = f'steps.create_table("slow", sa.Column("slept", sa.Integer)); steps.execute("SELECT SLEEP({SLOW_SECONDS})")'
    # Each run of the migration leaves a row.
    add_migration(tmp_path, monkeypatch, f'{up}; steps.execute("INSERT INTO slow VALUES (1)")')
    with ThreadPoolExecutor(2) as starts:
        list(starts.map(set_up, [settings, settings]))
    assert rows(settings.database_url, "SELECT COUNT(*) FROM slow") == [(1,)]
    assert capsys.readouterr().err.count("Another process is setting up this database") == 1


@pytest.fixture
def runners(tmp_path: Path) -> Iterator[list[Runner]]:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    runners = [Runner(folder) for folder in folders]
    yield runners
    for runner in runners:
        runner.end()


def test_of_two_first_starts_at_once_one_makes_the_account_and_both_succeed(
    database: str, new_schema: NewSchema, runners: list[Runner]
) -> None:
    url = new_schema(database, "both")
    with ThreadPoolExecutor(2) as starts:
        ended = list(starts.map(lambda runner: runner.run("start", url), runners))
    assert [status for status, _ in ended] == [0, 0], ended
    assert sum("Welcome" in output for _, output in ended) == 1
    made = described(url)
    assert (made["user"][1], made["quiz"][1]) == ([("author", "author")], [("warm-up", "Warm-up")])


def test_a_start_waits_for_another_within_a_bound_and_says_so(
    database: str, new_schema: NewSchema, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    url = make_url(new_schema(database, "held"))
    monkeypatch.setattr(lease, "WAIT_FOR_OTHERS", 0.2)
    with hold(url, PoolSettings()):
        with pytest.raises(MigrationError, match=r"has been setting up this database for 0\.2 s \(.*start again"):
            hold(url, PoolSettings()).__enter__()
        assert "waiting for it, 0.2 s at most" in capsys.readouterr().err
    with hold(url, PoolSettings()):
        pass


# A heartbeat in the future: the server's clock was put back.
@pytest.mark.parametrize(("seconds", "is_taken"), [(-60, True), (-10, False), (10, False), (60, True)])
def test_a_lease_is_taken_over_when_its_heartbeat_is_old(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, seconds: int, is_taken: bool
) -> None:
    monkeypatch.setattr(lease, "WAIT_FOR_OTHERS", 0.0)
    beat = f"UTC_TIMESTAMP(6) + INTERVAL {seconds} SECOND"
    rows(settings.database_url, f"UPDATE migration_lease SET owner = '{OTHER}', heartbeat_at = {beat}")
    with nullcontext() if is_taken else pytest.raises(MigrationError, match="another machine, process 1"):
        set_up(settings)


def test_a_start_that_lost_its_lease_stops_before_its_next_step(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_migration(tmp_path, monkeypatch, f"""
        steps.create_table("one", sa.Column("id", sa.Integer, primary_key=True))
        # Not a step: what another start does.
        steps.op.execute("UPDATE migration_lease SET owner = '{OTHER}'")
        steps.create_table("two", sa.Column("id", sa.Integer, primary_key=True))
    """)  # fmt: skip
    monkeypatch.setattr(row_lease, "RENEWED_EVERY", 3600.0)
    with pytest.raises(MigrationError, match="Another process has taken the lease"):
        set_up(settings)
    made = described(settings.database_url)
    assert ("one" in made, "two" in made) == (True, False)
    # The other's lease is left alone.
    assert rows(settings.database_url, "SELECT owner FROM migration_lease") == [(OTHER,)]


def test_a_start_that_lost_its_lease_makes_no_account(settings: Settings, tmp_path: Path) -> None:
    engine = create_engine(settings.database_url, poolclass=NullPool)
    with hold(make_url(settings.database_url), settings.pool) as held, engine.begin() as connection:
        held.lock(connection)
        with engine.begin() as other:
            # Nobody takes it while a transaction has it locked.
            other.execute(text("SET innodb_lock_wait_timeout = 1"))
            with pytest.raises(OperationalError, match="1205"):
                other.execute(text(f"UPDATE migration_lease SET owner = '{OTHER}'"))
        connection.execute(text(f"UPDATE migration_lease SET owner = '{OTHER}'"))
        with pytest.raises(MigrationError, match="another machine"):
            held.lock(connection)


def test_a_server_that_is_mute_is_given_up_when_the_lease_has_expired(
    databases: Databases, server_flavour: Flavour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = databases.breakable(server_flavour)
    databases.restore(server, "poolproof", "migrated")
    add_migration(tmp_path, monkeypatch, 'steps.execute("SELECT SLEEP(600)")')
    monkeypatch.setattr(row_lease, "EXPIRES_AFTER", 1.0)
    monkeypatch.setattr(row_lease, "RENEWAL_TIMEOUT", 0.5)
    sleeping = "SELECT COUNT(*) FROM information_schema.processlist WHERE info = 'SELECT SLEEP(600)'"

    def freeze() -> None:
        wait_until(lambda: server.execute(sleeping) == [(1,)])
        server.pause()

    frozen = threading.Thread(target=freeze)
    with ExitStack() as after:
        after.callback(server.resume)
        after.callback(frozen.join)
        frozen.start()
        with pytest.raises(MigrationError, match=r"has not answered for 1 s; start again"):
            set_up(make_settings(server.url("poolproof"), tmp_path))


def test_a_database_whose_migration_was_cut_off_is_not_set_up(settings: Settings) -> None:
    columns, values = "name, password_hash, role, created_at", "'ada', '', 'author', UTC_TIMESTAMP(6)"
    rows(settings.database_url, f"INSERT INTO user ({columns}) VALUES ({values})")
    assert is_set_up(settings)
    rows(settings.database_url, f"UPDATE migration_lease SET unfinished = '{schema.head_revision()}'")
    assert not is_set_up(settings)
    set_up(settings)
    assert is_set_up(settings)


def test_a_migration_of_a_newer_version_that_was_cut_off_is_refused(settings: Settings) -> None:
    rows(settings.database_url, "UPDATE migration_lease SET unfinished = '9999'")
    with pytest.raises(schema.UnknownRevisionError, match="9999"):
        set_up(settings)


def test_no_other_account_can_hold_the_lock_of_a_file(tmp_path: Path) -> None:
    with hold_file(tmp_path / "quiz.sqlite.lock"):
        assert stat.S_IMODE((tmp_path / "quiz.sqlite.lock").stat().st_mode) == 0o600
