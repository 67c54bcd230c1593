from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.certificates import make_certificate
from tests.support.echo_server import echo_server
from webapp.lab.services.processes import children
from webapp.lab.services.service_process import RunningService


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with echo_server(tmp_path_factory.mktemp("echo")) as server:
        yield server


def test_any_wsgi_application_is_served(server: RunningService) -> None:
    answer = httpx2.post(f"http://127.0.0.1:{server.port}/a?b=c", content=b"body")
    assert (answer.status_code, answer.json()["body"], answer.json()["query"]) == (200, "body", "b=c")


@pytest.mark.parametrize("error", ["SystemExit", "KeyboardInterrupt", "GeneratorExit", "ValueError"])
def test_no_exception_costs_a_worker_its_threads(server: RunningService, error: str) -> None:
    statuses = [httpx2.get(f"http://127.0.0.1:{server.port}/raise/{error}").status_code for _ in range(5)]
    assert statuses == [500] * 5
    assert httpx2.get(f"http://127.0.0.1:{server.port}/").status_code == 200


def test_a_connection_over_tls_serves_many_requests(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    context = ssl.create_default_context(cafile=str(certificate))
    options = ("--certfile", str(certificate), "--keyfile", str(key))
    with echo_server(tmp_path / "server", *options, ready=lambda port: says_hello(port, context)) as server:
        before = children(server.pid)
        with httpx2.Client(base_url=f"https://localhost:{server.port}", verify=context) as client:
            found = [client.post("/", content=b"x" * size).json()["length"] for size in (0, 1, 60_000, 300_000)]
            assert found == [0, 1, 60_000, 300_000]
            assert client.get("/large").content == b"x" * 3_000_000
        assert children(server.pid) == before, "no worker has died"


def says_hello(port: int, context: ssl.SSLContext) -> bool:
    try:
        return httpx2.get(f"https://localhost:{port}/", verify=context).status_code == 200
    except httpx2.TransportError:
        return False


def test_a_handshake_that_is_never_finished_holds_nobody_up(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    context = ssl.create_default_context(cafile=str(certificate))
    options = ("--certfile", str(certificate), "--keyfile", str(key))
    with echo_server(tmp_path / "server", *options, ready=lambda port: says_hello(port, context)) as server:
        silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
        started_at = time.monotonic()
        assert says_hello(server.port, context)
        assert time.monotonic() - started_at < 5, "less than any of its limits"
        for client in silent:
            client.close()
