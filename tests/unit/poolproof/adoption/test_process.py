"""A process whose engines are adopted: what it knows of itself and of the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from poolproof.adoption.engines import adopt, adopted_lane
from poolproof.adoption.process import AdoptedProcess
from poolproof.core.stats import RequestStatistics
from poolproof.fleet.commands import CommandQueue
from tests.support.waiting import wait_until


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[list[Engine]]:
    engines = [adopt(create_engine(f"sqlite:///{tmp_path / name}"), name) for name in ("books", "archive")]
    for engine in engines:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    yield engines
    for engine in engines:
        engine.dispose()


def process_of(engines: list[Engine], folder: Path | None) -> AdoptedProcess:
    return AdoptedProcess([adopted_lane(engine) for engine in engines], RequestStatistics(), folder, 1)


def test_without_a_folder_it_knows_of_itself(engines: list[Engine]) -> None:
    process = process_of(engines, None)
    process.ensure_registered()
    (member,) = process.snapshot().members
    assert set(member.status["lanes"]) == {"books", "archive"}
    assert (process.published().members, process.events(9)) == ((), [])


def test_each_engine_has_its_own_metrics(engines: list[Engine]) -> None:
    text = process_of(engines, None).metrics_text()
    for name in ("books", "archive"):
        labels = f'db_client_connection_pool_name="{name}",db_client_connection_state="idle"'
        assert f"db_client_connection_count{{{labels}}} 1\n" in text


def test_processes_of_one_folder_see_each_other_and_take_no_commands(engines: list[Engine], tmp_path: Path) -> None:
    folder = tmp_path / "fleet"
    one, other = process_of(engines, folder), process_of(engines, folder)
    for process in (one, other):
        process.ensure_registered()
        process.ensure_registered()
    wait_until(lambda: all(member.status for member in one.published().members))
    first, second = other.published().members
    assert set(first.status["lanes"]) == set(second.status["lanes"]) == {"books", "archive"}
    commands = CommandQueue(folder)
    result = commands.wait_result(commands.send(first.key, "drain"), 20.0)
    assert result is not None
    assert not result.is_done
    for process in (one, other):
        process.end()
    assert one.published().members == []
