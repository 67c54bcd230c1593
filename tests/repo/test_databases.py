"""The schemas and the server that tests share are what they stand for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx2
import pymysql
import pytest
from sqlalchemy import MetaData, create_engine, func, make_url, select

from tests.support import PROJECT, snapshots
from tests.support.breakable import BreakableServer
from tests.support.databases import Databases
from tests.support.narrowing import match_in, not_none
from tests.support.waiting import wait_until
from webapp.lab.services.poolproof_service import run_poolproof_service
from webapp.lab.services.programs import Flavour

Schemas = Callable[[str, str], str]


def counts(url: str) -> dict[str, int]:
    """Count the rows of each table."""
    engine, tables = create_engine(url), MetaData()
    # The index of words of SQLite keeps its pages in tables of its own.
    tables.reflect(engine, only=lambda name, _: not name.startswith("item_words"))
    with engine.connect() as connection:
        found = {table.name: select(func.count()).select_from(table) for table in tables.sorted_tables}
        counted = {name: connection.execute(count).scalar_one() for name, count in found.items()}
    engine.dispose()
    return counted


def test_a_service_on_a_prepared_schema_has_nothing_to_do_and_finds_what_a_first_start_makes(
    database: str, new_schema: Schemas, prepared_schema: Schemas, tmp_path: Path
) -> None:
    first, prepared = new_schema(database, "first_start"), prepared_schema(database, "prepared")
    with run_poolproof_service(first, tmp_path / "first", POOLPROOF_WORKERS="1") as service:
        printed = service.password
        assert printed in service.log.read_text()
    before = counts(prepared)
    with run_poolproof_service(prepared, tmp_path / "second", POOLPROOF_WORKERS="1") as service:
        assert "Welcome" not in service.log.read_text()
        who = {"name": "author", "password": service.password}
        assert httpx2.post(f"{service.address}/api/v1/tokens", json=who).status_code == 201
        (quiz,) = httpx2.get(f"{service.address}/api/v1/quizzes").json()["quizzes"]
        assert quiz["title"] == "Warm-up"
    # Minutes are counted as they pass, and a worker begins its periodic tasks.
    ignored = {"worker_minute": 0, "periodic_task": 0}
    assert before | ignored == counts(first) | ignored == counts(prepared) | ignored


STATEMENTS = (
    "CREATE TABLE parent (id INT AUTO_INCREMENT PRIMARY KEY, at DATETIME(6), raw VARBINARY(9), note JSON)",
    """CREATE TABLE child (
        id INT PRIMARY KEY, parent INT, twice INT AS (id * 2) STORED, words TEXT,
        FULLTEXT (words), FOREIGN KEY (parent) REFERENCES parent (id)
    )""",
    "CREATE TRIGGER longer BEFORE INSERT ON child FOR EACH ROW SET NEW.words = CONCAT(NEW.words, '!')",
    "INSERT INTO parent VALUES (7, '2026-01-02 03:04:05.678901', X'00FF27', '{\"é\": [1, null]}')",
    "INSERT INTO child (id, parent, words) VALUES (1, 7, 'a % b'), (2, NULL, NULL)",
)


def test_a_snapshot_restores_tables_rows_and_what_refers_to_what(databases: Databases, server_flavour: Flavour) -> None:
    server = databases.breakable(server_flavour)
    for statement in STATEMENTS:
        server.execute(statement, database="poolproof")
    snapshot = snapshots.take(server, "poolproof")
    snapshots.restore(server, "copy", snapshot)
    assert snapshots.take(server, "copy") == snapshot
    assert {table.name: len(table.rows) for table in snapshot.tables} == {"parent": 1, "child": 2}
    with pytest.raises(pymysql.err.IntegrityError):
        server.execute("DELETE FROM parent", database="copy")
    server.execute("INSERT INTO child (id, words) VALUES (3, 'c')", database="copy")
    assert server.execute("SELECT twice, words FROM child WHERE id = 3", database="copy") == [(6, "c!")]


@pytest.fixture
def breakable(databases: Databases, server_flavour: Flavour) -> BreakableServer:
    databases.breakable(server_flavour, "--max-connections=20")
    return databases._breakable[server_flavour]


def break_nothing(breakable: BreakableServer) -> None:
    pass


def kill(breakable: BreakableServer) -> None:
    breakable.server.kill()


def freeze(breakable: BreakableServer) -> None:
    breakable.server.pause()


def crash(breakable: BreakableServer) -> None:
    assert breakable.server.process is not None
    breakable.server.process.kill()
    breakable.server.process.wait()


def set_a_variable(breakable: BreakableServer) -> None:
    breakable.server.execute("SET GLOBAL read_only = ON")


def restart_otherwise(breakable: BreakableServer) -> None:
    breakable.server.restart("--max-connections=30", "--wait-timeout=7")


def fill(breakable: BreakableServer) -> None:
    with suppress(pymysql.err.OperationalError):
        while True:
            kept.append(breakable.server.connect())


def add_an_account_and_a_schema(breakable: BreakableServer) -> None:
    breakable.server.execute("CREATE USER stranger@'%' IDENTIFIED BY 'a secret'")
    breakable.server.create_database("strange")
    breakable.server.execute("CREATE TABLE poolproof.strange (id INT)")


kept: list[pymysql.Connection] = []


@pytest.mark.parametrize(
    "harm",
    [break_nothing, kill, freeze, crash, set_a_variable, restart_otherwise, fill, add_an_account_and_a_schema],
    ids=lambda harm: harm.__name__,
)
def test_whatever_was_done_to_the_breakable_server_the_next_module_gets_it_as_new(
    breakable: BreakableServer, harm: Callable[[BreakableServer], None]
) -> None:
    pid = not_none(breakable.server.process).pid
    harm(breakable)
    server = breakable.reset("--max-connections=20")
    assert server.execute("SELECT @@max_connections, @@wait_timeout, @@read_only") == [(20, 28800, 0)]
    schemas = {name for (name,) in server.execute("SHOW DATABASES")}
    assert schemas == {"information_schema", "mysql", "performance_schema", "sys", "poolproof"}
    assert server.execute("SHOW TABLES", database="poolproof") == []
    assert server.execute("SELECT COUNT(*) FROM mysql.user WHERE user = 'stranger'") == [(0,)]
    # A connection that was closed is on the list for a moment more.
    connections = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'root'"
    wait_until(lambda: server.execute(connections) == [(1,)])
    # It is started anew only where that is needed.
    is_kept = not_none(server.process).pid == pid
    assert is_kept == (harm in {break_nothing, freeze, add_an_account_and_a_schema})
    for connection in kept:
        connection.close()
    kept.clear()


def test_a_server_that_is_named_as_the_readme_does_is_used(
    databases: Databases, server_flavour: Flavour, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = match_in(r"TEST_DATABASE_URL=(mysql://root@127\.0\.0\.1:)3306/", (PROJECT / "README.md").read_text())[1]
    port = make_url(databases.empty(server_flavour, "named")).port
    monkeypatch.setenv("TEST_DATABASE_URL", f"{address}{port}/")
    assert counts(databases.copy(server_flavour, "named", "migrated"))["user"] == 0
    monkeypatch.setenv("TEST_DATABASE_URL", f"{address}{port}/?ssl_ca=ca.pem")
    with pytest.raises(ValueError, match="TEST_DATABASE_URL has the option ssl_ca"):
        databases.empty(server_flavour, "named")
