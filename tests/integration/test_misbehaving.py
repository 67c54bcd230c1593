from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.integration.fleet import eventually
from tests.support import PROJECT
from webapp.lab.services.poolproof_service import make_environment
from webapp.lab.services.processes import free_port
from webapp.lab.services.programs import Flavour
from webapp.lab.services.service_process import ServiceSpec, gunicorn, run_service

WORKERS, THREADS = 2, 4


@contextmanager
def misbehaving(url: str, folder: Path, workers: int = WORKERS, **environment: str) -> Iterator[tuple[int, Path]]:
    """The misbehaving app on Gunicorn: its port and its log."""
    variables = make_environment(url, folder, POOLPROOF_THREADS=str(THREADS), **environment)
    command = gunicorn("tests.integration.misbehaving:app", workers, THREADS)
    with run_service(
        ServiceSpec("The misbehaving app", command, variables, folder=PROJECT), folder, free_port()
    ) as service:
        yield service.port, service.log


@pytest.fixture
def port(server_flavour: Flavour, new_schema: Callable[[str, str], str], tmp_path: Path) -> Iterator[int]:
    with misbehaving(new_schema(server_flavour, "poolproof_misbehaving"), tmp_path) as (port, _):
        yield port


def hang_up(port: int) -> None:
    """Ask for a long stream, read a little of it, and go away."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET /wrong/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200")


def connections_out(port: int) -> dict[int, int]:
    """Ask until every worker has said how many of its connections are out."""
    out_by_worker: dict[int, int] = {}

    def all_have_said() -> bool:
        answer = httpx2.get(f"http://127.0.0.1:{port}/wrong/out", timeout=30).json()
        out_by_worker[answer["worker"]] = answer["out"]
        return len(out_by_worker) == WORKERS

    eventually(all_have_said)
    return out_by_worker


def test_views_streams_clients_and_teardowns_that_misbehave_leave_nothing_out(port: int) -> None:
    def misbehave(number: int) -> int:
        if number % 4 == 0:
            hang_up(port)
            return 0
        kind = ("raises", "forgets", "session")[number % 3]
        return httpx2.get(f"http://127.0.0.1:{port}/wrong/{kind}", timeout=30).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = set(pool.map(misbehave, range(48)))
    assert statuses == {0, 200, 500}
    # A stream ends when its worker finds that its client does not read any more.
    eventually(lambda: not any(connections_out(port).values()))
