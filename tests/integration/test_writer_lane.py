"""Answers are committed on a connection of their own, whatever readers do with all others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest

from tests.integration.fleet import Fleet, eventually, fleet
from tests.support.databases import Databases
from webapp.lab.loadgen.storm import ANSWERS, storm
from webapp.lab.services.programs import Flavour

SIZE = 8
HELD = 2.0
"""Seconds for which a reader holds its connection."""
ANSWERS_WANTED = 60


@contextmanager
def slow_readers(running: Fleet, count: int) -> Iterator[None]:
    """Clients whose requests hold a connection all the time; those that are refused ask again."""
    stopped = threading.Event()

    def read() -> None:
        with httpx2.Client(base_url=running.address, timeout=60) as client:
            while not stopped.is_set():
                client.get("/wrong/idles", params={"seconds": HELD})

    threads = [threading.Thread(target=read) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


def used(running: Fleet, lane: str) -> int:
    (worker,) = running.workers().values()
    return int(next(each["used"] for each in worker["lanes"] if each["name"] == lane))


@pytest.fixture(scope="module")
def running(databases: Databases, server_flavour: Flavour, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    url = databases.copy(server_flavour, "writer_lane", "prepared")
    # As many threads again: players get theirs while the readers sit in half of them.
    settings = {"POOL_SIZE": str(SIZE), "POOLPROOF_THREADS": str(2 * SIZE), "POOLPROOF_PLAYER_RATE_LIMIT": "0"}
    with fleet(url, tmp_path_factory.mktemp("writer"), 1, **settings) as running:
        yield running


def test_all_answers_are_saved_while_slow_readers_hold_every_connection_of_the_requests(running: Fleet) -> None:
    with storm(running.address, 4) as load, slow_readers(running, SIZE):
        eventually(lambda: used(running, "interactive") == SIZE)
        before = load.counts(ANSWERS).total()
        eventually(lambda: load.counts(ANSWERS).total() >= before + ANSWERS_WANTED, running.log, within=120)
    assert load.counts(ANSWERS).keys() == {200}


def test_doctor_and_metrics_count_the_writers_connection(running: Fleet) -> None:
    doctor = running.service.run_command("doctor").stdout
    assert "+ 1 console + 1 writer) × 2 while reloading" in doctor
    eventually(
        lambda: (
            'db_client_connection_max{db_client_connection_pool_name="writer"} 1'
            in httpx2.get(f"{running.console}/metrics", timeout=20).text
        )
    )


def test_an_operator_neither_resizes_nor_pauses_the_writers_lane(running: Fleet) -> None:
    def refusal(action: str, **values: str) -> str:
        return running.client.get(f"/console/actions/{action}", params=values, follow_redirects=True).text

    assert "is one of: interactive, background" in refusal("resize", lane="writer", size="2")
    assert "Only the background lane can be paused" in refusal("pause", lane="writer")
