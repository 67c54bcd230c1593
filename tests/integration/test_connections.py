"""Servers that restart, close idle connections, demand a password or TLS; clients that storm."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from poolproof.settings import PoolSettings
from tests.integration.conftest import OPTIONS
from tests.integration.fleet import eventually
from tests.integration.test_leak_reports import named
from webapp.lab.loadgen.storm import storm
from webapp.lab.services.database_server import DatabaseServer
from webapp.lab.services.poolproof_service import (
    PoolproofService,
    make_environment,
    run_poolproof,
    run_poolproof_service,
)

pytestmark = pytest.mark.usefixtures("prepared")

CLIENTS = 16
DEFAULTS = PoolSettings()
# What fits twenty connections, also while it reloads: 1 × (2 + 2 + 1) × 2 + 1 × 3 + 2.
SMALL = {"POOLPROOF_WORKERS": "1", "POOLPROOF_THREADS": "2"}
# What does not: 1 × (8 + 2 + 1) × 2 + 1 × 3 + 2. While nothing reloads, it does.
THREADS = 8
TOO_MANY = {"POOLPROOF_WORKERS": "1", "POOLPROOF_THREADS": str(THREADS), "POOL_BOOT_CHECK": "warn"}


@pytest.fixture(scope="module")
def shared_service(server: DatabaseServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PoolproofService]:
    """A service that does not fit its server, with an account as MySQL makes them by default, and no TLS."""
    plugin = "WITH caching_sha2_password " if server.flavour == "mysql" else ""
    server.execute(f"CREATE USER IF NOT EXISTS sha2@'%' IDENTIFIED {plugin}BY 'a secret'")
    server.execute("GRANT ALL ON poolproof.* TO sha2@'%'")
    url = server.url("poolproof", "sha2", "a%20secret")
    with run_poolproof_service(url, tmp_path_factory.mktemp("service"), **TOO_MANY) as service:
        yield service


def our_connections(server: DatabaseServer) -> set[int]:
    rows = server.execute("SELECT id FROM information_schema.processlist WHERE db = 'poolproof'")
    return {int(number) for (number,) in rows}


def play(client: httpx2.Client, statuses: Counter[int]) -> None:
    """One player: the list, a quiz, an attempt with one answer, the finish, the board."""

    def send(method: str, address: str, **arguments: object) -> httpx2.Response:
        response = client.request(method, address, **arguments)  # type: ignore[arg-type]
        statuses[response.status_code] += 1
        return response

    quiz = send("GET", "/api/v1/quizzes").json()["quizzes"][0]["id"]
    item = send("GET", f"/api/v1/quizzes/{quiz}").json()["questions"][0]["item"]
    attempt = send("POST", f"/api/v1/quizzes/{quiz}/attempts", json={}).headers["Location"]
    send("PUT", f"{attempt}/answers/{item}", json={"choices": [0]})
    send("POST", f"{attempt}/finish")
    send("GET", f"/api/v1/quizzes/{quiz}/leaderboard")


def test_sixteen_clients_at_once_see_no_error_and_never_exceed_the_pool(
    server: DatabaseServer, service: PoolproofService
) -> None:
    statuses: Counter[int] = Counter()
    most = 0
    done = threading.Event()

    def storm() -> None:
        with httpx2.Client(base_url=service.address, timeout=30) as client:
            while not done.is_set():
                play(client, statuses)

    def all_have_played() -> bool:
        nonlocal most
        most = max(most, len(our_connections(server)))
        return sum(statuses.values()) > CLIENTS * 6 * 3

    with ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(storm) for _ in range(CLIENTS)]
        try:
            eventually(all_have_played)
        finally:
            done.set()
        for future in running:
            future.result()
    assert set(statuses) == {200, 201}
    # The request threads' lane, the writer's connection, and the console's that /readyz uses.
    assert 1 < most <= THREADS + 2


def test_ordinary_play_under_load_is_never_named(service: PoolproofService) -> None:
    before = len(named(service.log))
    with storm(service.address) as running:
        started_at = time.monotonic()
        # By then the leak detector has examined the checkouts again after the time that one may last.
        eventually(lambda: time.monotonic() > started_at + 1.5 * DEFAULTS.leak_threshold)
        running.wait_for_successes(100)
    assert named(service.log)[before:] == []


def test_a_restart_and_idle_connections_that_the_server_closes_cost_no_request(
    server: DatabaseServer, service: PoolproofService
) -> None:
    addresses = ["/", "/api/v1/quizzes", "/readyz"]

    def ask() -> set[int]:
        return {httpx2.get(service.address + address, timeout=30).status_code for address in addresses * 4}

    before = ask()
    server.restart(*OPTIONS)
    server.execute("SET GLOBAL wait_timeout = 2")
    try:
        after = ask()
        idle = our_connections(server)
        eventually(lambda: not idle & our_connections(server))
        later = ask()
    finally:
        server.execute("SET GLOBAL wait_timeout = 28800")
    assert idle
    assert before | after | later == {200}


def test_while_the_server_is_gone_requests_get_503_soon_and_afterwards_200(
    server: DatabaseServer, service: PoolproofService
) -> None:
    quiz = httpx2.get(f"{service.address}/api/v1/quizzes").json()["quizzes"][0]["id"]
    attempt = httpx2.post(f"{service.address}/api/v1/quizzes/{quiz}/attempts", json={}).headers["Location"]
    item = httpx2.get(f"{service.address}/api/v1/quizzes/{quiz}").json()["questions"][0]["item"]
    answered = httpx2.put(f"{service.address}{attempt}/answers/{item}", json={"choices": [0]})
    assert answered.status_code == 200
    server.kill()
    started_at = time.monotonic()
    away = [httpx2.get(service.address + address, timeout=30) for address in (attempt, "/readyz")]
    took = time.monotonic() - started_at
    server.start(*OPTIONS)
    back = [httpx2.get(service.address + address, timeout=30) for address in (attempt, "/readyz")]
    alive = httpx2.get(f"{service.address}/healthz")
    assert [answer.status_code for answer in away] == [503, 503]
    assert away[0].headers["Retry-After"].isdecimal()
    assert took < 10
    assert [answer.status_code for answer in back] == [200, 200]
    assert alive.status_code == 200


def test_a_frozen_server_makes_readiness_say_no_soon(server: DatabaseServer, service: PoolproofService) -> None:
    assert httpx2.get(f"{service.address}/readyz").status_code == 200
    server.pause()
    try:
        started_at = time.monotonic()
        answer = httpx2.get(f"{service.address}/readyz", timeout=30)
        took = time.monotonic() - started_at
    finally:
        server.resume()
    assert answer.status_code == 503
    # Its own second, on a machine that may be busy.
    assert took < 3


def test_a_fleet_that_does_not_fit_starts_when_only_a_warning_is_wanted(service: PoolproofService) -> None:
    assert httpx2.get(f"{service.address}/readyz").status_code == 200
    assert "FAIL  max_connections" in service.log.read_text()


def test_an_account_with_caching_sha2_password_works(mysql: DatabaseServer, service: PoolproofService) -> None:
    assert mysql.execute("SELECT plugin FROM mysql.user WHERE user = 'sha2'") == [("caching_sha2_password",)]
    assert httpx2.get(f"{service.address}/readyz").status_code == 200


def test_workers_close_their_connections_when_they_stop(server: DatabaseServer, service: PoolproofService) -> None:
    (before,) = server.execute("SHOW GLOBAL STATUS LIKE 'Aborted_clients'")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: httpx2.get(f"{service.address}/readyz", timeout=30), range(40)))
    assert our_connections(server)
    service.stop()
    eventually(lambda: not our_connections(server))
    (after,) = server.execute("SHOW GLOBAL STATUS LIKE 'Aborted_clients'")
    assert after == before


def test_a_configured_age_above_wait_timeout_stops_the_start_with_both_numbers(
    server: DatabaseServer, tmp_path: Path
) -> None:
    server.execute("SET GLOBAL wait_timeout = 30")
    try:
        refused = serve(server.url("poolproof"), tmp_path, POOL_RECYCLE="60", **SMALL)
    finally:
        server.execute("SET GLOBAL wait_timeout = 28800")
    assert refused.returncode == 1
    assert "POOL_RECYCLE is 60 s" in refused.stderr
    assert "wait_timeout = 30 s" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_fleet_that_does_not_fit_is_not_started_and_told_the_arithmetic(
    server: DatabaseServer, tmp_path: Path
) -> None:
    refused = serve(server.url("poolproof"), tmp_path, POOLPROOF_WORKERS="2", POOLPROOF_THREADS="8")
    assert refused.returncode == 1
    assert "2 workers × (8 interactive + 2 background + 1 console + 1 writer) × 2 while reloading" in refused.stderr
    assert "Raise max_connections to" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("pool_class", ["static", "singleton_thread"])
def test_a_pool_that_cannot_work_stops_the_start_with_the_reason(
    server: DatabaseServer, tmp_path: Path, pool_class: str
) -> None:
    refused = serve(server.url("poolproof"), tmp_path, POOL_CLASS=pool_class)
    assert refused.returncode != 0
    assert f"POOL_CLASS={pool_class} cannot be used with mysql" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_server_that_is_not_there_stops_the_start_with_one_sentence(tmp_path: Path) -> None:
    refused = serve("mysql://nobody@127.0.0.1:1/poolproof", tmp_path)
    assert refused.returncode == 1
    assert "The database cannot be reached" in refused.stderr
    assert "Traceback" not in refused.stderr


def serve(url: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return run_poolproof(make_environment(url, folder, **environment), "serve")


def test_an_account_that_requires_tls_works_and_is_encrypted(mysql: DatabaseServer, tmp_path: Path) -> None:
    mysql.execute("CREATE USER IF NOT EXISTS tls@'%' IDENTIFIED BY 'a secret' REQUIRE SSL")
    mysql.execute("GRANT ALL ON poolproof.* TO tls@'%'")
    url = mysql.url("poolproof", "tls", "a%20secret")
    authority = {"POOL_TLS": "required", "POOL_TLS_CA": str(mysql.tls_ca)}
    with run_poolproof_service(url, tmp_path / "checked", **SMALL, **authority) as service:
        assert httpx2.get(f"{service.address}/api/v1/quizzes").status_code == 200
        assert httpx2.get(f"{service.address}/readyz").status_code == 200
    unchecked = run_poolproof(make_environment(url, tmp_path / "unchecked", POOL_TLS="required", **SMALL), "doctor")
    assert unchecked.returncode == 0, unchecked.stdout + unchecked.stderr
    refused = serve(url, tmp_path / "off", POOL_TLS="off")
    assert refused.returncode == 1
    assert "The database refused: Access denied" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "a secret" not in refused.stderr


@pytest.fixture
def mysql(server: DatabaseServer) -> DatabaseServer:
    if server.flavour != "mysql":
        pytest.skip("caching_sha2_password and the certificates are MySQL's")
    return server
