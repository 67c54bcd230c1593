"""The whole service under load while its database or a worker meets with a fault: what fails, and why."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, closing

import httpx2
import pymysql
import pytest
from pymysql.constants import ER

from tests.integration.conftest import OPTIONS, WORKERS
from tests.integration.fleet import eventually
from webapp.lab.loadgen.storm import ANSWERS, READS, STARTS, Storm, storm
from webapp.lab.services.database_server import DatabaseServer
from webapp.lab.services.poolproof_service import PoolproofService

DEADLINE = 20.0
RECOVERY = 5.0
"""Seconds after the server is back in which a client may still note a failure of before."""
CLIENTS = 6
ROUNDS = 2


def our_connections(server: DatabaseServer) -> list[int]:
    rows = server.execute("SELECT id FROM information_schema.processlist WHERE user = 'player'")
    return [int(number) for (number,) in rows]


def refused(server: DatabaseServer) -> int:
    ((_, count),) = server.execute("SHOW GLOBAL STATUS LIKE 'Connection_errors_max_connections'")
    return int(count)


def kill(server: DatabaseServer, number: int) -> None:
    try:
        server.execute(f"KILL {number}")
    except pymysql.err.OperationalError as error:
        # It has gone by itself meanwhile.
        if error.args[0] != ER.NO_SUCH_THREAD:
            raise


def fill(server: DatabaseServer, others: ExitStack) -> int:
    """Connect until the server refuses; return how many connections it accepted."""
    count = 0
    while True:
        try:
            others.enter_context(closing(server.connect()))
        except pymysql.err.OperationalError as error:
            assert error.args[0] == ER.CON_COUNT_ERROR  # noqa: PT017 - any other is a failure
            return count
        count += 1


def interactive_connections(service: PoolproofService) -> int:
    """Return how many connections for requests all workers have open, used or idle, as /metrics counts them."""
    metrics = httpx2.get(f"{service.console}/metrics", timeout=10).text
    counts = re.findall(r'^db_client_connection_count{.*pool_name="interactive".*} (\S+)$', metrics, re.MULTILINE)
    return int(sum(map(float, counts)))


def until_some_fail(running: Storm, *kinds: str) -> None:
    """Wait until a client has met the fault."""
    eventually(lambda: bool(running.failed(*kinds)))


def test_killed_connections_fail_no_read_and_no_answer(server: DatabaseServer, service: PoolproofService) -> None:
    with storm(service.address, CLIENTS) as running:
        killed: set[int] = set()
        for _ in range(10):
            # Each time there are others to kill.
            eventually(lambda: bool(set(our_connections(server)) - killed))
            for number in our_connections(server):
                kill(server, number)
                killed.add(number)
            running.wait_for_successes(10)
    assert len(killed) > 10
    assert running.counts(READS, ANSWERS, STARTS).keys() <= {200, 201}


def test_a_restart_fails_requests_with_503_only_while_there_is_no_server(
    server: DatabaseServer, service: PoolproofService
) -> None:
    with storm(service.address, CLIENTS) as running:
        started_at = time.monotonic()
        server.stop()
        server.start(*OPTIONS)
        back = time.monotonic()
        running.wait_for_successes(100)
    assert running.counts().keys() <= {200, 201, 503}
    failed = running.failed()
    assert all(started_at <= failure.ended_at <= back + RECOVERY for failure in failed)
    assert all(failure.seconds < DEADLINE and (failure.retry_after or "").isdecimal() for failure in failed)


def test_a_crash_fails_requests_with_503_only_while_there_is_no_server(
    server: DatabaseServer, service: PoolproofService
) -> None:
    with storm(service.address, CLIENTS) as running:
        started_at = time.monotonic()
        server.kill()
        until_some_fail(running)
        server.start(*OPTIONS)
        back = time.monotonic()
        running.wait_for_successes(100)
    assert running.counts().keys() <= {200, 201, 503}
    assert all(
        started_at <= failure.ended_at <= back + RECOVERY and failure.seconds < DEADLINE for failure in running.failed()
    )


def test_a_server_that_freezes_fails_requests_with_503_while_it_is_frozen_and_no_other_way(
    server: DatabaseServer, service: PoolproofService
) -> None:
    with storm(service.address, CLIENTS) as running:
        started_at = time.monotonic()
        server.pause()
        # Told while it is frozen, not when it goes on: no client waits longer than the service lets it.
        until_some_fail(running)
        server.resume()
        back = time.monotonic()
        running.wait_for_successes(100)
    assert running.counts().keys() <= {200, 201, 503}
    # With all threads of a worker in the midst of a read, the first to be told is the one whose read times out.
    assert all(
        started_at <= failure.ended_at <= back + RECOVERY and failure.seconds < DEADLINE for failure in running.failed()
    )


def test_a_server_that_turns_read_only_still_serves_reads_and_takes_answers_again_afterwards(
    server: DatabaseServer, service: PoolproofService
) -> None:
    with storm(service.address, CLIENTS) as running:
        server.execute("SET GLOBAL read_only = ON")
        try:
            until_some_fail(running, ANSWERS)
            reads = running.counts(READS)[200]
            eventually(lambda: running.counts(READS)[200] > reads + 10)
        finally:
            server.execute("SET GLOBAL read_only = OFF")
        writable = time.monotonic()
        running.wait_for_successes(100)
    assert running.counts(READS).keys() == {200}
    assert running.counts(ANSWERS).keys() == {200, 503}
    assert all(failure.ended_at <= writable + RECOVERY for failure in running.failed())


def test_connections_that_are_open_serve_on_when_others_have_taken_all_the_rest(
    server: DatabaseServer, service: PoolproofService
) -> None:
    with storm(service.address, CLIENTS) as running, ExitStack() as others:
        eventually(lambda: interactive_connections(service) == WORKERS * 2)
        count = fill(server, others)
        running.wait_for_successes(100)
    assert count > 5
    assert running.counts().keys() <= {200, 201}


def reload_all(service: PoolproofService, check: Callable[[], None]) -> None:
    """Reload, and look again and again until every worker is a new one."""
    old = set(service.workers())

    def are_new() -> bool:
        check()
        now = set(service.workers())
        return not old & now and len(now) == WORKERS

    service.reload()
    eventually(are_new, service.log)


def test_reloads_under_load_fail_no_request_and_never_exceed_the_budget(
    server: DatabaseServer, service: PoolproofService
) -> None:
    before, counts = refused(server), []
    with storm(service.address, CLIENTS) as running:
        for _ in range(ROUNDS):
            reload_all(service, lambda: counts.append(len(our_connections(server))))
            running.wait_for_successes(50)
    assert running.counts().keys() <= {200, 201}
    assert 2 < max(counts) <= 2 * WORKERS * (2 + 1 + 1 + 1)
    assert refused(server) == before


def test_a_killed_worker_costs_only_the_requests_that_it_was_serving(
    server: DatabaseServer, service: PoolproofService
) -> None:
    before, victims = refused(server), set()
    with storm(service.address, CLIENTS) as running:
        for _ in range(ROUNDS):
            victims.add(service.kill_worker())
            running.wait_for_successes(50)
            eventually(lambda: not victims & set(service.workers()) and len(service.workers()) == WORKERS)
    lost = running.failed()
    # Their sockets are gone with the process: each client sees it at once and may repeat. None gets an error status.
    assert {failure.result for failure in lost} <= {"ConnectionResetError", "RemoteDisconnected", "IncompleteRead"}
    # At most its two threads' requests, and those of the six clients that it had accepted and not yet begun.
    assert len(lost) <= ROUNDS * CLIENTS
    assert refused(server) == before


# One that begins, and one that has connections and is about to end.
@pytest.mark.parametrize("chosen", [-1, 0], ids=["newest", "oldest"])
def test_reloads_and_kills_together_never_meet_too_many_connections(
    server: DatabaseServer, service: PoolproofService, chosen: int
) -> None:
    before, said_before = refused(server), len(service.log.read_text())
    old = set(service.workers())
    killed: list[int] = []

    def kill_one() -> None:
        if not killed and set(service.workers()) - old:
            killed.append(service.workers()[chosen])
            os.kill(killed[0], signal.SIGKILL)

    with storm(service.address, CLIENTS) as running:
        reload_all(service, kill_one)
        running.wait_for_successes(50)
    assert killed
    assert "Too many connections" not in service.log.read_text()[said_before:]
    assert refused(server) == before


@pytest.mark.parametrize("address", ["/api/v1/quizzes", "/readyz"])
def test_a_readable_answer_comes_at_once_after_any_of_this(
    server: DatabaseServer, service: PoolproofService, address: str
) -> None:
    with storm(service.address, CLIENTS) as running:
        server.pause()
        server.resume()
        running.wait_for_successes(20)
        assert httpx2.get(f"{service.address}{address}").status_code == 200
