"""The whole service under load while its database or a worker meets with a fault: what fails, and why."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pymysql
import pytest
from pymysql.constants import ER

from webapp.lab.loadgen.storm import ANSWERS, READS, STARTS, Storm, storm
from webapp.lab.services.database_server import Server
from webapp.lab.services.poolproof_service import Service, serving

pytestmark = pytest.mark.usefixtures("prepared")

# One worker of 4 + 1 + 1 connections, twice while it reloads, 1 × 2 beside it, 2 in reserve: 16.
FLEET = {"POOLPROOF_WORKERS": "1", "POOLPROOF_THREADS": "4", "POOL_BACKGROUND": "1"}
# Two workers of 2 + 1 + 1: 20, all that the server has.
TWO_WORKERS = {"POOLPROOF_WORKERS": "2", "POOLPROOF_THREADS": "2", "POOL_BACKGROUND": "1"}
DEADLINE = 20.0


@contextmanager
def stormed(server: Server, folder: Path, **environment: str) -> Iterator[tuple[Service, Storm]]:
    """The service as an ordinary account, under load."""
    server.execute("CREATE USER IF NOT EXISTS player@'%' IDENTIFIED BY 'a secret'")
    server.execute("GRANT ALL ON poolproof.* TO player@'%'")
    url = server.url("poolproof", "player", "a%20secret")
    with serving(url, folder, **{**FLEET, **environment}) as service, storm(service.address) as running:
        yield service, running


def our_connections(server: Server) -> list[int]:
    rows = server.execute("SELECT id FROM information_schema.processlist WHERE user = 'player'")
    return [int(number) for (number,) in rows]


def refused(server: Server) -> int:
    ((_, count),) = server.execute("SHOW GLOBAL STATUS LIKE 'Connection_errors_max_connections'")
    return int(count)


def kill(server: Server, number: int) -> None:
    try:
        server.execute(f"KILL {number}")
    except pymysql.err.OperationalError as error:
        # It has gone by itself meanwhile.
        if error.args[0] != ER.NO_SUCH_THREAD:
            raise


def until_it_is_full(server: Server) -> Iterator[pymysql.Connection[Any]]:
    while True:
        try:
            yield server.connect()
        except pymysql.err.OperationalError as error:
            assert error.args[0] == ER.CON_COUNT_ERROR  # noqa: PT017 - any other is a failure
            return


def workers_of(service: Service) -> list[int]:
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text(encoding="ascii")
    return [int(number) for number in children.split()]


def test_killed_connections_fail_no_read_and_no_answer(server: Server, tmp_path: Path) -> None:
    with stormed(server, tmp_path) as (_, running):
        killed = 0
        for _ in range(20):
            for number in our_connections(server):
                kill(server, number)
                killed += 1
            time.sleep(0.1)
        running.wait_for(50)
    assert killed > 20
    assert running.counts(READS, ANSWERS, STARTS).keys() <= {200, 201}


def test_a_restart_fails_requests_with_503_only_while_there_is_no_server(server: Server, tmp_path: Path) -> None:
    with stormed(server, tmp_path) as (_, running):
        began = time.monotonic()
        server.stop()
        server.start("--max-connections=20")
        back = time.monotonic()
        running.wait_for(100)
    assert running.counts().keys() <= {200, 201, 503}
    failed = running.failed()
    assert all(began <= one.at <= back + 2 for one in failed)
    assert all(one.seconds < DEADLINE and (one.retry_after or "").isdecimal() for one in failed)


def test_a_crash_fails_requests_with_503_only_while_there_is_no_server(server: Server, tmp_path: Path) -> None:
    with stormed(server, tmp_path) as (_, running):
        began = time.monotonic()
        server.kill()
        time.sleep(1)
        server.start("--max-connections=20")
        back = time.monotonic()
        running.wait_for(100)
    assert running.counts().keys() <= {200, 201, 503}
    assert all(began <= one.at <= back + 2 and one.seconds < DEADLINE for one in running.failed())


def test_a_server_that_freezes_for_three_seconds_fails_requests_with_503_in_time_and_no_other_way(
    server: Server, tmp_path: Path
) -> None:
    with stormed(server, tmp_path) as (_, running):
        began = time.monotonic()
        server.pause()
        time.sleep(3)
        server.resume()
        back = time.monotonic()
        running.wait_for(100)
    assert running.counts().keys() <= {200, 201, 503}
    failed = running.failed()
    # Nobody answers while it is frozen: those who wait for one of the four connections are told so soon.
    assert all(began <= one.at <= back + 2 and one.seconds < 5 for one in failed)


def test_a_server_that_turns_read_only_still_serves_reads_and_takes_answers_again_afterwards(
    server: Server, tmp_path: Path
) -> None:
    with stormed(server, tmp_path) as (_, running):
        server.execute("SET GLOBAL read_only = ON")
        time.sleep(1)
        server.execute("SET GLOBAL read_only = OFF")
        writable = time.monotonic()
        running.wait_for(100)
    assert running.counts(READS).keys() == {200}
    assert running.counts(ANSWERS).keys() == {200, 503}
    assert all(one.at <= writable + 1 for one in running.failed())


def test_connections_that_are_open_serve_on_when_others_have_taken_all_the_rest(server: Server, tmp_path: Path) -> None:
    with stormed(server, tmp_path) as (_, running):
        others = list(until_it_is_full(server))
        running.wait_for(200)
        for connection in others:
            connection.close()
    assert len(others) > 5
    assert running.counts().keys() <= {200, 201}


def test_reloads_under_load_fail_no_request_and_never_exceed_the_budget(server: Server, tmp_path: Path) -> None:
    before, most = refused(server), 0
    with stormed(server, tmp_path, **TWO_WORKERS) as (service, running):
        for _ in range(3):
            service.process.send_signal(signal.SIGHUP)
            end = time.monotonic() + 3
            while time.monotonic() < end:
                most = max(most, len(our_connections(server)))
                time.sleep(0.03)
        running.wait_for(50)
    assert running.counts().keys() <= {200, 201}
    assert 2 < most <= 2 * 2 * (2 + 1 + 1)
    assert refused(server) == before


def test_a_killed_worker_costs_only_the_requests_that_it_was_serving(server: Server, tmp_path: Path) -> None:
    before = refused(server)
    with stormed(server, tmp_path, **TWO_WORKERS) as (service, running):
        for _ in range(3):
            victim = workers_of(service)[0]
            os.kill(victim, signal.SIGKILL)
            running.wait_for(100)
            assert victim not in workers_of(service)
    lost = running.failed()
    # Their sockets are gone with the process: each client sees it at once and may repeat. Nobody gets an error status.
    assert {one.ended for one in lost} <= {"ConnectionResetError", "RemoteDisconnected", "IncompleteRead"}
    # At most its two threads' requests, and those of the six clients that it had accepted and not yet begun.
    assert len(lost) <= 3 * 6
    assert refused(server) == before


def test_reloads_and_kills_together_never_meet_too_many_connections(server: Server, tmp_path: Path) -> None:
    before = refused(server)
    with stormed(server, tmp_path, **TWO_WORKERS) as (service, running):
        for _ in range(3):
            service.process.send_signal(signal.SIGHUP)
            time.sleep(0.7)
            os.kill(workers_of(service)[-1], signal.SIGKILL)
            running.wait_for(50)
    assert "Too many connections" not in service.log.read_text()
    assert refused(server) == before


@pytest.mark.parametrize("address", ["/api/v1/quizzes", "/readyz"])
def test_a_readable_answer_comes_at_once_after_any_of_this(server: Server, tmp_path: Path, address: str) -> None:
    with stormed(server, tmp_path) as (service, running):
        stopper = threading.Timer(0.2, server.pause)
        stopper.start()
        stopper.join()
        server.resume()
        running.wait_for(20)
        assert httpx.get(f"{service.address}{address}").status_code == 200
