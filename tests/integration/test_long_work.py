"""Transfers that wait for a paused lane, on a real worker with eight threads: all other requests are answered."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import httpx2
import pytest

from tests.integration.fleet import Fleet, eventually, fleet
from tests.support.databases import Databases
from webapp.lab.services.poolproof_service import AUTHORS_PASSWORD
from webapp.lab.services.programs import Flavour

THREADS = 8
TIMEOUT = 60.0
"""Seconds after which a client gives up; a request that gets a thread needs a small part of it."""


@pytest.fixture(scope="module")
def running(databases: Databases, server_flavour: Flavour, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    url = databases.copy(server_flavour, "long_work", "prepared")
    folder = tmp_path_factory.mktemp("long_work")
    settings = {"POOLPROOF_THREADS": str(THREADS), "POOL_REQUEST_DEADLINE": str(10 * TIMEOUT)}
    with fleet(url, folder, 1, "wsgi:app", **settings) as running:
        yield running


@pytest.fixture(scope="module")
def author(running: Fleet) -> dict[str, str]:
    body = {"name": "author", "password": AUTHORS_PASSWORD}
    token = httpx2.post(f"{running.address}/api/v1/tokens", json=body, timeout=TIMEOUT).json()["token"]
    return {"Authorization": f"Bearer {token}"}


def background_lane_is_paused(running: Fleet) -> bool:
    (worker,) = running.workers().values()
    return bool(next(lane["is_paused"] for lane in worker["lanes"] if lane["name"] == "background"))


def test_eight_exports_that_wait_for_a_paused_lane_leave_threads_for_all_other_requests(
    running: Fleet, author: dict[str, str]
) -> None:
    def export() -> httpx2.Response:
        return httpx2.get(f"{running.address}/api/v1/items/export", headers=author, timeout=TIMEOUT)

    def refused(exports: list[Future[httpx2.Response]]) -> list[httpx2.Response]:
        return [future.result() for future in exports if future.done()]

    running.perform("pause", lane="background")
    eventually(lambda: background_lane_is_paused(running))
    with ThreadPoolExecutor(THREADS) as clients:
        exports = [clients.submit(export) for _ in range(THREADS)]
        try:
            eventually(lambda: len(refused(exports)) == THREADS // 2)
            for path in ("/healthz", "/readyz", "/", "/sign-in", "/api/v1/quizzes"):
                assert httpx2.get(f"{running.address}{path}", timeout=TIMEOUT / 4).status_code == 200, path
            early = refused(exports)
        finally:
            running.perform("resume", lane="background")
    assert len(early) == THREADS // 2, "the others still waited"
    for response in early:
        assert response.status_code == 503
        assert response.headers["Retry-After"].isdecimal()
        assert "imports, exports" in response.json()["detail"]
    statuses = sorted(future.result().status_code for future in exports)
    assert statuses == [200] * (THREADS // 2) + [503] * (THREADS // 2)
    assert export().status_code == 200
