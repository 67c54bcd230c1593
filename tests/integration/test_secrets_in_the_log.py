"""A service is driven through many errors; then none of the secrets that it was given stands in its log."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import make_url

from tests.integration.fleet import eventually
from tests.integration.leaking import FAILURES
from tests.support import PROJECT
from tests.support.accounts import PASSWORD_HASH
from tests.support.databases import Databases
from webapp.first_start import FIRST_AUTHOR
from webapp.lab.loadgen.signing_in import sign_in
from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof_service

SIGNING_KEY = "a-signing-key-that-is-long-enough-0123456789"
DATABASE_PASSWORD = "apasswordofthedatabase"
TYPED_PASSWORD = "a-wrong-password-that-was-typed"
IDEMPOTENCY_KEY = "an-idempotency-key-0042"
COMMAND = (sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "tests.integration.leaking:app")


@dataclass
class Secrets:
    """What must not be logged, by name."""

    attempt: str
    player: str
    rest: str
    session: str
    device: str

    def all(self) -> dict[str, str]:
        return {
            **vars(self), "signing key": SIGNING_KEY, "database": DATABASE_PASSWORD, "typed": TYPED_PASSWORD,
            "key": IDEMPOTENCY_KEY, "hash": PASSWORD_HASH, "part of a hash": PASSWORD_HASH.rpartition("$")[2],
        }  # fmt: skip


def with_password(url: str, server_execute: Callable[[str], object] | None) -> str:
    """Return the address with an account that has a password; SQLite has none."""
    if server_execute is None:
        return url
    server_execute(f"CREATE USER IF NOT EXISTS secretive@'%' IDENTIFIED BY '{DATABASE_PASSWORD}'")
    server_execute("GRANT ALL ON secretive.* TO secretive@'%'")
    return make_url(url).set(username="secretive", password=DATABASE_PASSWORD).render_as_string(hide_password=False)


@pytest.fixture(scope="module")
def service(
    database: str,
    databases: Databases,
    prepared_schema: Callable[[str, str], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[PoolproofService]:
    url = prepared_schema(database, "secretive")
    execute = None if database == "sqlite" else databases._server(database).execute
    url, folder = with_password(url, execute), tmp_path_factory.mktemp("secretive")
    settings = {"POOLPROOF_SECRET_KEY": SIGNING_KEY, "POOLPROOF_WORKERS": "1", "POOLPROOF_LOG_LEVEL": "debug"}
    with run_poolproof_service(url, folder, PROJECT, COMMAND, **settings) as service:
        yield service


@pytest.fixture(scope="module")
def secrets(service: PoolproofService) -> Secrets:
    with httpx2.Client(base_url=service.address) as client:
        quiz = client.get("/api/v1/quizzes").json()["quizzes"][0]["id"]
        started = client.post(f"/api/v1/quizzes/{quiz}/attempts", json={"name": "Ada"}).json()
        rest = client.post("/api/v1/tokens", json={"name": FIRST_AUTHOR, "password": service.password}).json()["token"]
        sign_in(client, FIRST_AUTHOR, service.password)
        return Secrets(started["token"], started["player"], rest, client.cookies["session"], client.cookies["device"])


def send_everything(service: PoolproofService, secrets: Secrets) -> None:
    """Fail in every known form, with every secret in the request."""
    headers = {
        "Authorization": f"Bearer {secrets.rest}",
        "Cookie": f"session={secrets.session}; device={secrets.device}; player={secrets.player}",
        "Idempotency-Key": IDEMPOTENCY_KEY,
        "X-Hash": PASSWORD_HASH,
    }
    paths = (f"/attempts/{secrets.attempt}", f"/api/v1/attempts/{secrets.attempt}", f"/attempts/{secrets.attempt}/no")
    with httpx2.Client(base_url=service.address, headers=headers, timeout=30) as client:
        for path in paths:
            for failure in (*FAILURES, "outside"):
                for value in (secrets.attempt, secrets.player, PASSWORD_HASH):
                    client.get(path, headers={"X-Fail": failure, "X-Value": value})
                    client.post(path, headers={"X-Fail": failure, "X-Value": value})
        client.post("/api/v1/tokens", json={"name": TYPED_PASSWORD, "password": TYPED_PASSWORD})
        client.post("/api/v1/items", content=b"{broken", headers={"Content-Type": "application/json"})
        client.put(f"/api/v1/attempts/{secrets.attempt}/answers/1", content=b"{")
    for head in (
        f"GET /attempts/{secrets.attempt} HTTP/9.9\r\n",
        f"GET /attempts/{secrets.attempt}\x01 HTTP/1.1\r\nCookie : session={secrets.session}\r\n",
        f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization\x01: Bearer {secrets.rest}\r\n",
        f"GET / HTTP/1.1\r\nHost: a\r\nIdempotency-Key : {IDEMPOTENCY_KEY}\r\n",
        f"POST /attempts/{secrets.attempt} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ):
        with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
            connection.sendall(head.encode("latin-1") + b"\r\n")
            while connection.recv(65536):
                pass


@pytest.mark.slow(reason="a service fails in many ways")
def test_no_secret_stands_in_the_log(service: PoolproofService, secrets: Secrets) -> None:
    send_everything(service, secrets)
    service.run_command("doctor")
    logged = written(service)
    for name, secret in secrets.all().items():
        assert secret not in logged, f"{name}: {context(logged, secret)}"
    for kind in ("RuntimeError", "outside of Flask", "The database refused a statement", "It was not stored", "no ***"):
        assert kind in logged, f"{kind}: the errors are in the log"
    assert "/attempts/***" in logged
    for file in Path(service.environment["POOLPROOF_INSTANCE"]).glob("fleet/**/*"):
        assert not file.is_file() or secrets.attempt not in file.read_text(errors="replace"), file


def test_every_line_of_gunicorn_is_json_as_ours_are(service: PoolproofService) -> None:
    service.kill_worker()
    eventually(lambda: service.log.read_text().count("Booting worker") > 1)
    lines = [line for line in service.log.read_text().splitlines() if line]
    parsed = [json.loads(line) for line in lines]
    assert {"gunicorn.error", "poolproof.request"} <= {line["logger"] for line in parsed}
    assert any("Booting worker" in line["event"] for line in parsed)


def written(service: PoolproofService) -> str:
    """Return the log; lines of requests reach it a little late."""
    marker = "marker-0042-0042"
    httpx2.get(f"{service.address}/healthz", headers={"X-Request-ID": marker})
    eventually(lambda: marker in service.log.read_text())
    return service.log.read_text()


def context(text: str, secret: str) -> str:
    start = text.find(secret)
    return text[max(0, start - 300) : start + len(secret) + 50]
