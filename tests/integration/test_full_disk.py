"""A disk that is full under SQLite: what would be stored is refused for a while, what is read is served."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.integration.fleet import eventually
from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof_service

WAL_BYTES = 256 * 1024
"""More than any other file that the service writes."""
LOOKS = 12
"""Over both workers."""


@pytest.fixture
def service(prepared_schema: Callable[[str, str], str], tmp_path: Path) -> Iterator[PoolproofService]:
    with run_poolproof_service(prepared_schema("sqlite", "full_disk"), tmp_path, POOLPROOF_WORKERS="2") as service:
        yield service


@contextmanager
def log_that_only_grows(database: Path) -> Iterator[Path]:
    """Yield the write-ahead log of a database, which begins anew for no writer while the block runs."""
    with closing(sqlite3.connect(database)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM item").fetchall()
        yield database.with_name(database.name + "-wal")


def limit_files(service: PoolproofService, size: int) -> None:
    """Let no worker write beyond this size of a file; that is what a full disk looks like from within."""
    for worker in service.workers():
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_full_disk_is_503_and_not_ready_until_there_is_room_again(service: PoolproofService) -> None:
    database = Path(urlsplit(service.environment["DATABASE_URL"]).path.replace("//", "/"))
    with httpx2.Client(base_url=service.address, timeout=30) as client, log_that_only_grows(database) as log:
        signed_in = client.post("/api/v1/tokens", json={"name": "author", "password": service.password})
        author = {"Authorization": f"Bearer {signed_in.json()['token']}"}
        quiz = client.get("/api/v1/quizzes").json()["quizzes"][0]["id"]
        item = client.get(f"/api/v1/quizzes/{quiz}").json()["questions"][0]["item"]
        attempt = client.post(f"/api/v1/quizzes/{quiz}/attempts", json={}).json()["token"]
        number = iter(range(10_000))

        def add_item() -> httpx2.Response:
            stem = f"Item {next(number)}? " + "x" * 1500
            body = {"kind": "single", "stem": stem, "choices": ["a", "b"], "right": [0]}
            return client.post("/api/v1/items", json=body, headers=author)

        def answer() -> httpx2.Response:
            return client.put(f"/api/v1/attempts/{attempt}/answers/{item}", json={"choices": [0]})

        def looks() -> set[int]:
            return {httpx2.get(f"{service.address}/readyz", timeout=30).status_code for _ in range(LOOKS)}

        while log.stat().st_size < WAL_BYTES:
            assert add_item().status_code == 201
        assert looks() == {200}
        limit_files(service, log.stat().st_size)
        refused = [add_item(), answer(), add_item(), answer()]
        assert [response.status_code for response in refused] == [503] * 4
        assert all(1 <= int(response.headers["Retry-After"]) <= 4 for response in refused)
        assert refused[0].json()["outcome"] == "not-done"
        assert "cannot store anything" in refused[0].json()["detail"]
        eventually(lambda: looks() == {503}, service.log)
        assert "cannot store anything" in client.get("/readyz").json()["reason"]
        assert [client.get(page).status_code for page in ("/", "/healthz", f"/api/v1/quizzes/{quiz}")] == [200] * 3
        limit_files(service, resource.RLIM_INFINITY)
        eventually(lambda: looks() == {200}, service.log)
        assert (add_item().status_code, answer().status_code) == (201, 200)
    assert "Traceback" not in service.log.read_text()
