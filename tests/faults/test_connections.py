"""Servers that restart, close idle connections, demand a password or TLS; clients that storm."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from webapp.lab.services.database_server import Server
from webapp.lab.services.poolproof_service import Service, environment_for, poolproof, serving

pytestmark = pytest.mark.usefixtures("prepared")

CLIENTS = 16
STORM_SECONDS = 8.0
# What fits twenty connections, also while it reloads: 1 × (2 + 2 + 1) × 2 + 1 × 3 + 2.
SMALL = {"POOLPROOF_WORKERS": "1", "POOLPROOF_THREADS": "2"}


def our_connections(server: Server) -> int:
    (count,) = server.execute("SELECT COUNT(*) FROM information_schema.processlist WHERE db = 'poolproof'")[0]
    return int(count)


def play(client: httpx.Client, statuses: Counter[int]) -> None:
    """One player: the list, a quiz, an attempt with one answer, the finish, the board."""

    def send(method: str, address: str, **arguments: object) -> httpx.Response:
        response = client.request(method, address, **arguments)  # type: ignore[arg-type]
        statuses[response.status_code] += 1
        return response

    quiz = send("GET", "/api/v1/quizzes").json()["quizzes"][0]["id"]
    item = send("GET", f"/api/v1/quizzes/{quiz}").json()["questions"][0]["item"]
    attempt = send("POST", f"/api/v1/quizzes/{quiz}/attempts", json={}).headers["Location"]
    send("PUT", f"{attempt}/answers/{item}", json={"choices": [0]})
    send("POST", f"{attempt}/finish")
    send("GET", f"/api/v1/quizzes/{quiz}/leaderboard")


def test_sixteen_clients_at_once_see_no_error_and_never_exceed_the_pool(server: Server, tmp_path: Path) -> None:
    statuses: Counter[int] = Counter()
    most = 0
    done = threading.Event()
    threads, workers = 4, 1
    with serving(
        server.url("poolproof"), tmp_path, POOLPROOF_THREADS=str(threads), POOLPROOF_WORKERS=str(workers)
    ) as service:

        def storm() -> None:
            with httpx.Client(base_url=service.address, timeout=30) as client:
                while not done.is_set():
                    play(client, statuses)

        with ThreadPoolExecutor(CLIENTS) as pool:
            running = [pool.submit(storm) for _ in range(CLIENTS)]
            end = time.monotonic() + STORM_SECONDS
            while time.monotonic() < end:
                most = max(most, our_connections(server))
                time.sleep(0.1)
            done.set()
            for one in running:
                one.result()
    assert set(statuses) == {200, 201}
    assert sum(statuses.values()) > CLIENTS * 6
    # The request threads' lane, and the console's one connection that /readyz uses.
    assert 1 < most <= workers * (threads + 1)


def test_a_restart_and_idle_connections_that_the_server_closes_cost_no_request(server: Server, tmp_path: Path) -> None:
    with serving(server.url("poolproof"), tmp_path, **SMALL) as service:
        addresses = ["/", "/api/v1/quizzes", "/readyz"]
        before = [httpx.get(service.address + address).status_code for address in addresses]
        server.restart("--max-connections=20", "--wait-timeout=2")
        try:
            time.sleep(5)
            after = [httpx.get(service.address + address).status_code for address in addresses * 4]
            time.sleep(3)
            later = [httpx.get(service.address + address).status_code for address in addresses * 4]
        finally:
            server.restart("--max-connections=20")
    assert set(before + after + later) == {200}


def test_while_the_server_is_gone_requests_get_503_soon_and_afterwards_200(server: Server, tmp_path: Path) -> None:
    with serving(server.url("poolproof"), tmp_path, **SMALL) as service:
        server.kill()
        began = time.monotonic()
        away = [httpx.get(service.address + address, timeout=10) for address in ("/api/v1/quizzes", "/readyz")]
        took = time.monotonic() - began
        server.start("--max-connections=20")
        back = [httpx.get(service.address + address, timeout=10) for address in ("/api/v1/quizzes", "/readyz")]
        alive = httpx.get(f"{service.address}/healthz")
    assert [answer.status_code for answer in away] == [503, 503]
    assert away[0].headers["Retry-After"].isdecimal()
    assert took < 10
    assert [answer.status_code for answer in back] == [200, 200]
    assert alive.status_code == 200


def test_a_frozen_server_makes_readiness_say_no_within_its_second(server: Server, tmp_path: Path) -> None:
    with serving(server.url("poolproof"), tmp_path, **SMALL) as service:
        assert httpx.get(f"{service.address}/readyz").status_code == 200
        server.pause()
        try:
            began = time.monotonic()
            answer = httpx.get(f"{service.address}/readyz", timeout=10)
            took = time.monotonic() - began
        finally:
            server.resume()
    assert answer.status_code == 503
    assert took < 1.5


def test_workers_close_their_connections_when_they_stop(server: Server, tmp_path: Path) -> None:
    (before,) = server.execute("SHOW GLOBAL STATUS LIKE 'Aborted_clients'")
    with serving(server.url("poolproof"), tmp_path, **SMALL) as service:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: httpx.get(f"{service.address}/api/v1/quizzes"), range(40)))
        assert our_connections(server) > 0
    deadline = time.monotonic() + 5
    while our_connections(server) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert our_connections(server) == 0
    (after,) = server.execute("SHOW GLOBAL STATUS LIKE 'Aborted_clients'")
    assert after == before


def test_a_configured_age_above_wait_timeout_stops_the_start_with_both_numbers(server: Server, tmp_path: Path) -> None:
    server.execute("SET GLOBAL wait_timeout = 30")
    try:
        refused = serve(server.url("poolproof"), tmp_path, POOL_RECYCLE="60", **SMALL)
    finally:
        server.execute("SET GLOBAL wait_timeout = 28800")
    assert refused.returncode == 1
    assert "POOL_RECYCLE is 60 s" in refused.stderr
    assert "wait_timeout = 30 s" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_fleet_that_does_not_fit_is_not_started_and_told_the_arithmetic(server: Server, tmp_path: Path) -> None:
    refused = serve(server.url("poolproof"), tmp_path, POOLPROOF_WORKERS="2", POOLPROOF_THREADS="8")
    assert refused.returncode == 1
    assert "2 workers × (8 interactive + 2 background + 1 console) × 2 while reloading" in refused.stderr
    assert "Raise max_connections to" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_fleet_that_does_not_fit_starts_when_only_a_warning_is_wanted(server: Server, tmp_path: Path) -> None:
    with serving(server.url("poolproof"), tmp_path, POOL_CHECK="warn", POOLPROOF_THREADS="8") as service:
        assert httpx.get(f"{service.address}/readyz").status_code == 200
        assert "FAIL  max_connections" in service.log.read_text()


@pytest.mark.parametrize("pool_class", ["static", "singleton_thread"])
def test_a_pool_that_cannot_work_stops_the_start_with_the_reason(
    server: Server, tmp_path: Path, pool_class: str
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
    return poolproof(environment_for(url, folder, **environment), "serve")


def answers(server: Server, folder: Path, user: str, password: str, **environment: str) -> Service:
    url = server.url("poolproof", user, password)
    with serving(url, folder, **{**SMALL, **environment}) as service:
        assert httpx.get(f"{service.address}/api/v1/quizzes").status_code == 200
        assert httpx.get(f"{service.address}/readyz").status_code == 200
    return service


@pytest.fixture
def mysql(server: Server) -> Server:
    if server.flavour != "mysql":
        pytest.skip("caching_sha2_password and the certificates are MySQL's")
    return server


def test_an_account_with_caching_sha2_password_works(mysql: Server, tmp_path: Path) -> None:
    mysql.execute("CREATE USER sha2@'%' IDENTIFIED WITH caching_sha2_password BY 'a secret'")
    mysql.execute("GRANT ALL ON poolproof.* TO sha2@'%'")
    answers(mysql, tmp_path, "sha2", "a%20secret")


def test_an_account_that_requires_tls_works_and_is_encrypted(mysql: Server, tmp_path: Path) -> None:
    mysql.execute("CREATE USER tls@'%' IDENTIFIED BY 'a secret' REQUIRE SSL")
    mysql.execute("GRANT ALL ON poolproof.* TO tls@'%'")
    authority = {"POOL_TLS": "required", "POOL_TLS_CA": str(mysql.tls_ca)}
    answers(mysql, tmp_path / "checked", "tls", "a%20secret", **authority)
    answers(mysql, tmp_path / "unchecked", "tls", "a%20secret", POOL_TLS="required")
    refused = serve(mysql.url("poolproof", "tls", "a%20secret"), tmp_path, POOL_TLS="off")
    assert refused.returncode == 1
    assert "The database refused: Access denied" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "a secret" not in refused.stderr
