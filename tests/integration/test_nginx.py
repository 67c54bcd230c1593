"""The service behind Debian's nginx with the sample site: what players, authors and clients of REST get through it."""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.support.narrowing import match_in
from tests.support.nginx import Nginx, RecordingUpstream, check, run_nginx, run_recorder, write_configuration
from tests.support.waiting import wait_until
from webapp.lab.services.poolproof_service import AUTHORS_PASSWORD, PoolproofService, run_poolproof_service

MIB = 1024 * 1024
BEHIND_NGINX = {
    "POOLPROOF_TRUSTED_PROXIES": "1", "POOLPROOF_SECURE_COOKIES": "true", "POOLPROOF_WORKERS": "1",
    # One player is asked for by several threads.
    "POOLPROOF_PLAYER_RATE_LIMIT": "0",
}  # fmt: skip


@pytest.fixture(scope="module")
def service(
    prepared_schema: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PoolproofService]:
    url = prepared_schema("sqlite", "nginx")
    with run_poolproof_service(url, tmp_path_factory.mktemp("service"), **BEHIND_NGINX) as service:
        yield service


@pytest.fixture(scope="module")
def nginx(service: PoolproofService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with run_nginx(tmp_path_factory.mktemp("nginx"), service.port) as nginx:
        yield nginx


@pytest.fixture
def client(nginx: Nginx) -> Iterator[httpx2.Client]:
    with nginx.client() as client:
        yield client


@pytest.fixture
def author(client: httpx2.Client) -> dict[str, str]:
    response = client.post("/api/v1/tokens", json={"name": "author", "password": AUTHORS_PASSWORD})
    return {"Authorization": f"Bearer {response.raise_for_status().json()['token']}"}


@pytest.fixture
def upstream() -> Iterator[RecordingUpstream]:
    with run_recorder() as upstream:
        yield upstream


def played(client: httpx2.Client) -> str:
    """Start an attempt at the sample quiz; return its token."""
    quiz = client.get("/api/v1/quizzes").json()["quizzes"][0]["id"]
    response = client.post(f"/api/v1/quizzes/{quiz}/attempts", json={"name": "Ann"})
    return str(response.raise_for_status().json()["token"])


def test_nginx_accepts_the_sample_without_a_warning(tmp_path: Path) -> None:
    *_, command = write_configuration(tmp_path, 8000)
    output = check(command).splitlines()
    assert "test is successful" in output[-1]
    assert len(output) == 2, output


def test_who_comes_without_tls_is_sent_to_it(nginx: Nginx) -> None:
    response = httpx2.get(f"{nginx.plain_address}/quizzes/numbers", trust_env=False)
    assert response.status_code == 301
    assert response.headers["Location"] == "https://localhost/quizzes/numbers"


def test_an_author_signs_in_by_https_with_cookies_that_go_by_nothing_else(client: httpx2.Client) -> None:
    page = client.get("/sign-in")
    assert page.headers["Strict-Transport-Security"].startswith("max-age=")
    token = match_in(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)[1]
    form = {"csrf_token": token, "name": "author", "password": AUTHORS_PASSWORD}
    response = client.post("/sign-in", data=form, headers={"Referer": str(page.url)})
    assert response.status_code == 302
    cookies = response.headers.get_list("Set-Cookie")
    assert cookies
    assert all("Secure" in cookie and "HttpOnly" in cookie for cookie in cookies)
    assert client.get("/studio").status_code == 200


def test_a_draft_is_changed_with_the_etag_that_came_through_nginx(
    client: httpx2.Client, author: dict[str, str]
) -> None:
    quiz = client.post("/api/v1/quizzes", json={"title": "A", "items": []}, headers=author).json()["id"]
    # Larger than what nginx leaves uncompressed in any case.
    body = {"title": "B", "description": "long " * 300, "items": []}
    address = f"/api/v1/quizzes/{quiz}/draft"
    for _ in range(2):
        read = client.get(address, headers={**author, "Accept-Encoding": "gzip"})
        assert not read.headers["ETag"].startswith("W/")
        changed = client.put(address, json=body, headers={**author, "If-Match": read.headers["ETag"]})
        assert changed.status_code == 200


def test_a_page_comes_compressed_and_is_not_sent_again_to_who_has_it(client: httpx2.Client) -> None:
    slug = client.get("/api/v1/quizzes").json()["quizzes"][0]["slug"]
    page = client.get(f"/quizzes/{slug}")
    assert page.headers["Content-Encoding"] == "gzip"
    client.cookies.clear()
    again = client.get(f"/quizzes/{slug}", headers={"If-None-Match": page.headers["ETag"]})
    assert again.status_code == 304


def test_a_file_as_large_as_allowed_is_imported_and_other_large_bodies_are_refused(
    client: httpx2.Client, author: dict[str, str]
) -> None:
    line = b"// " + b"x" * 96 + b"\n"
    file = b"::one:: Two plus two? {=4 ~5}\n\n" + line * (31 * MIB // len(line))
    address = "/api/v1/items/import?format=gift&dry_run=true"
    done = client.post(address, content=file, headers=author)
    assert (done.status_code, done.json().get("records")) == (200, 1)
    assert client.post(address, content=file).status_code == 401
    too_large = client.post("/api/v1/items", json={"stem": "x" * (MIB + MIB // 2)}, headers=author)
    assert (too_large.status_code, too_large.headers["Content-Type"]) == (413, "application/problem+json")
    assert client.post("/api/v1/items", content=b"x" * 3 * MIB, headers=author).status_code == 413


def test_an_export_streams_through(client: httpx2.Client, author: dict[str, str]) -> None:
    with client.stream("GET", "/api/v1/items/export", headers=author) as response:
        assert response.status_code == 200
        assert response.read().startswith(b"{")


@pytest.mark.parametrize("path", ["/console", "/console/audit", "/metrics", "/api/v1/pools"])
def test_the_console_is_not_there_whatever_a_client_says_of_itself(
    client: httpx2.Client, service: PoolproofService, path: str
) -> None:
    console = service.console.removeprefix("http://")
    port = console.rpartition(":")[2]
    claims: list[dict[str, str]] = [
        {}, {"Host": console}, {"X-Forwarded-Host": console, "X-Forwarded-Port": port, "X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": f"for=127.0.0.1;host={console}", "X-Forwarded-Server": console},
    ]  # fmt: skip
    assert [client.get(path, headers=claim).status_code for claim in claims] == [404] * len(claims)


def test_no_log_of_nginx_has_the_address_of_an_attempt(
    nginx: Nginx, client: httpx2.Client, upstream: RecordingUpstream, tmp_path: Path
) -> None:
    token = played(client)
    page = client.get(f"/attempts/{token}", headers={"Referer": f"{nginx.address}/attempts/{token}"})
    assert page.status_code == 200
    assert client.get(f"/api/v1/attempts/{token}").status_code == 200
    # A line is written when its response has been sent.
    wait_until(lambda: '"GET /attempts/-" 200' in nginx.logs())
    wait_until(lambda: '"GET /api/v1/attempts/-" 200' in nginx.logs())
    assert token not in nginx.logs()
    # While the service is away nginx has more to say.
    upstream.server_close()
    with run_nginx(tmp_path / "alone", upstream.port) as alone, alone.client() as player:
        assert player.get(f"/attempts/{token}").status_code == 502
        wait_until(lambda: '"GET /attempts/-" 502' in alone.logs())
        assert token not in alone.logs()


def test_what_the_service_believes_of_a_client_is_what_nginx_says(upstream: RecordingUpstream, tmp_path: Path) -> None:
    lies = {
        "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Prefix": "/evil", "X-Request-Timeout": "0.001", "Connection": "close", "SCRIPT_NAME": "/evil",
    }  # fmt: skip
    with run_nginx(tmp_path / "nginx", upstream.port) as nginx, nginx.client() as client:
        assert client.get("/", headers=lies).status_code == 200
    seen = {name.lower(): value for name, value in upstream.requests[0].headers.items()}
    # The service takes the last entry, as it is told that there is one proxy.
    assert seen["x-forwarded-for"].split(", ")[-1] == "127.0.0.1"
    assert seen["x-forwarded-proto"] == "https"
    assert seen["x-forwarded-host"] == seen["host"] == urlsplit(nginx.address).netloc
    assert set(seen) & {"x-forwarded-prefix", "x-request-timeout", "connection", "script_name"} == set()


def test_connections_to_the_service_are_kept(upstream: RecordingUpstream, tmp_path: Path) -> None:
    with run_nginx(tmp_path / "nginx", upstream.port) as nginx, nginx.client() as client:
        for number in range(40):
            assert client.get("/", headers={"Connection": "close"} if number % 2 else {}).status_code == 200
    # Each process of nginx keeps its own.
    assert len({request.connection for request in upstream.requests}) <= 10


def test_a_slow_upload_reaches_the_service_when_it_is_whole(upstream: RecordingUpstream, tmp_path: Path) -> None:
    with run_nginx(tmp_path / "nginx", upstream.port) as nginx, raw_connection(nginx) as connection:
        connection.sendall(b"POST /api/v1/items/import HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
        with nginx.client() as other:
            assert other.get("/").status_code == 200
        assert len(upstream.requests) == 1
        connection.sendall(b"cd")
        assert b" 200 " in connection.recv(100)
        assert len(upstream.requests) == 2


def test_a_slow_reader_does_not_hold_the_service(tmp_path: Path) -> None:
    with (
        run_recorder(response_bytes=64 * MIB) as upstream,
        run_nginx(tmp_path / "nginx", upstream.port) as nginx,
        raw_connection(nginx) as connection,
    ):
        connection.sendall(b"GET /api/v1/items/export HTTP/1.1\r\nHost: x\r\n\r\n")
        # The client has read nothing, and the service has sent all.
        assert upstream.answered.wait(60)


def test_no_request_through_nginx_fails_while_the_service_reloads(
    client: httpx2.Client, nginx: Nginx, service: PoolproofService
) -> None:
    token, statuses, is_over = played(client), set[int](), threading.Event()

    def play() -> None:
        with nginx.client() as player:
            while not is_over.is_set():
                statuses.add(player.get(f"/attempts/{token}").status_code)
                statuses.add(player.post(f"/api/v1/attempts/{token}/finish").status_code)

    players = [threading.Thread(target=play) for _ in range(4)]
    for player in players:
        player.start()
    before = service.workers()
    service.reload()
    try:
        deadline = time.monotonic() + 60
        while set(service.workers()) & set(before):
            assert time.monotonic() < deadline
            assert client.get("/healthz").status_code == 200
    finally:
        is_over.set()
        for player in players:
            player.join()
    assert statuses == {200}


def test_below_a_prefix_every_address_begins_with_it(service: PoolproofService, tmp_path: Path) -> None:
    edits = {r'X-Forwarded-Prefix "";': 'X-Forwarded-Prefix "/school";', r"# rewrite": "rewrite"}
    with run_nginx(tmp_path / "nginx", service.port, edits) as nginx, nginx.client() as client:
        assert client.get("/school").headers["Location"].endswith("/school/")
        front = client.get("/school/").text
        quiz = match_in(r'href="(/school/quizzes/[^"/]+)"', front)[1]
        page = client.get(quiz)
        start = match_in(r'action="([^"]+)"', page.text)[1]
        begun = client.post(start, data={"name": "Ann"}, headers={"Sec-Fetch-Site": "same-origin"})
        assert begun.headers["Location"].startswith("/school/attempts/")
        assert client.get(begun.headers["Location"]).status_code == 200
        assert client.get("/school/studio").headers["Location"].startswith("/school/sign-in")
        addresses = re.findall(r'(?:href|src|action)="(/[^"]*)"', front + page.text)
        assert [address for address in addresses if not address.startswith("/school")] == []
        wait_until(lambda: '"GET /attempts/-" 200' in nginx.logs())
        assert begun.headers["Location"].rpartition("/")[2] not in nginx.logs()


def raw_connection(nginx: Nginx) -> ssl.SSLSocket:
    """Return a connection with TLS on which a test writes bytes; it takes in as little as it can."""
    context = ssl.create_default_context(cafile=str(nginx.folder / "fullchain.pem"))
    connection = socket.create_connection(("127.0.0.1", urlsplit(nginx.address).port or 0), timeout=60)
    return context.wrap_socket(connection, server_hostname="localhost")
