"""Requests that no client of good will sends: every one is answered, none with a 5xx, and no traceback is logged.

The bytes go through Gunicorn's own parser, with which an app in the test's process has nothing to do.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import httpx2
import pytest

from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof_service
from webapp.lab.services.processes import HOST

JSON = b"application/json"
FORM = b"application/x-www-form-urlencoded"
CHUNKS = {
    "no number": b"zz\r\n{}\r\n0\r\n\r\n",
    "no end of a chunk": b"2\r\n{}XX0\r\n\r\n",
    "less than nothing": b"-1\r\n",
    "more than there is": b"ff\r\n{}",
    "more than there can be": b"ffffffffffffffffffff\r\n{}",
    "a broken extension": b"2;\x00\r\n{}\r\n0\r\n\r\n",
    "a broken trailer": b"2\r\n{}\r\n0\r\nbad trailer\r\n\r\n",
    "a number without an end": b"0" * 10_000,
}
HEADERS = [
    (b"Host", b"\xff"), (b"Host", b"[::"), (b"Host", b""), (b"Authorization", b"Bearer \xff"),
    (b"Authorization", b"\xff"),
    (b"Cookie", b"session=\xff; player=\xff; attempt=\xff; device=\xff"), (b"Cookie", b"\xff=\x80;;;="),
    (b"If-None-Match", b"\xff"), (b"If-Match", b'"\xff"'), (b"Accept", b"text/html;q=\xff"),
    (b"Idempotency-Key", b"\xff"),
    (b"X-Request-ID", b"\xff"), (b"Origin", b"http://["), (b"Origin", b"\xff"), (b"Sec-Fetch-Site", b"\xff"),
    (b"Range", b"bytes=\xff"), (b"If-Modified-Since", b"\xff"), (b"Referer", b"http://["),
    (b"Content-Encoding", b"\xff"),
    (b"Content-Type", b"\xff"), (b"Content-Type", b"application/json; charset=nonsense"),
    (b"Content-Type", b"multipart/form-data"), (b"Content-Type", b"multipart/form-data; boundary=\xff"),
]  # fmt: skip
TARGETS = [
    "/quizzes/%00", "/quizzes/%ff", "/attempts/%00", "/attempts/%ff", "/api/v1/attempts/%ff%00", "/static/%00",
    "/files/%00", "/docs/files/%00", "/docs/files/" + "a" * 3000, "/?cursor=%ff", "/sign-in?next=%00",
    "/sign-in?next=//[",
    *[f"/api/v1/quizzes{query}" for query in (
        "/" + "9" * 3000, "?limit=" + "9" * 3000, "?limit=9e99", "?limit=-1", "?cursor=" + "A" * 3000, "?cursor=%ff",
        "?cursor=%00", "?state=%ed%a0%80", "?cursor=LTE", "?cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk",
    )],
    *[f"/api/v1/items{query}" for query in (
        "?search=%00", "?search=%ff", "?search=%22%22", "?search=*", "?search=%2b%2d%28%29", "?category=%00",
        "?kind=%00",
    )],
]  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A running service, and what in it can be addressed."""

    service: PoolproofService
    author: bytes
    quiz: int
    attempt: str

    def send(self, method: bytes, address: bytes, headers: Mapping[bytes, bytes], body: bytes = b"") -> int:
        """Send a request as it is, and return the status; 0 when the connection is closed without an answer."""
        lines = [method + b" " + address + b" HTTP/1.1"]
        lines += [name + b": " + value for name, value in headers.items()]
        with socket.create_connection((HOST, self.service.port), timeout=60) as connection:
            connection.sendall(b"\r\n".join([*lines, b"Connection: close", b"", body]))
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(100)
        return int(answer.split(b" ")[1]) if answer else 0

    def assert_undisturbed(self) -> None:
        """Assert that nothing of what was sent was an error of the service."""
        assert "Traceback" not in self.service.log.read_text()
        assert httpx2.get(f"{self.service.address}/readyz").status_code == 200


@pytest.fixture(scope="module")
def target(prepared_schema: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    url = prepared_schema("sqlite", "hostile_requests")
    with run_poolproof_service(url, tmp_path_factory.mktemp("service"), POOLPROOF_WORKERS="1") as service:
        with httpx2.Client(base_url=f"{service.address}/api/v1") as client:
            token = client.post("/tokens", json={"name": "author", "password": service.password}).json()["token"]
            quiz = client.get("/quizzes").json()["quizzes"][0]["id"]
            attempt = client.post(f"/quizzes/{quiz}/attempts", json={}).json()["token"]
        yield Target(service, f"Bearer {token}".encode(), quiz, attempt)


@pytest.mark.parametrize(
    ("address", "status"),
    [
        (b"/sign-in", 413), (b"/quizzes/warm-up/start", 413), (b"/api/v1/tokens", 413), (b"/studio/import", 302),
        (b"/api/v1/items", 401), (b"/api/v1/items/import?format=gift", 401), (b"/console", 404), (b"/nowhere", 404),
    ],
)  # fmt: skip
def test_a_stranger_is_told_before_thirty_mebibytes_are_sent(target: Target, address: bytes, status: int) -> None:
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 31457280\r\n\r\n"
    with socket.create_connection((HOST, target.service.port), timeout=60) as connection:
        connection.sendall(head % (address, FORM))
        assert int(connection.recv(100).split(b" ")[1]) == status


@pytest.mark.parametrize("chunks", CHUNKS)
def test_a_body_in_chunks_that_are_none_is_an_error_of_its_sender(target: Target, chunks: str) -> None:
    # Who ends a connection in the midst of a body may get no answer.
    addresses = [
        b"/api/v1/tokens", b"/api/v1/items", b"/api/v1/items/import?format=json", b"/sign-in",
        b"/quizzes/warm-up/start",
        f"/api/v1/attempts/{target.attempt}/answers/1".encode(), b"/studio/import", b"/console", b"/nowhere",
    ]  # fmt: skip
    for address, kind in product(addresses, (JSON, FORM)):
        method = b"PUT" if b"/answers/" in address else b"POST"
        headers = {
            b"Host": b"x", b"Authorization": target.author, b"Content-Type": kind, b"Transfer-Encoding": b"chunked"
        }  # fmt: skip
        assert target.send(method, address, headers, CHUNKS[chunks]) < 500, (address, kind)
    target.assert_undisturbed()


@pytest.mark.parametrize(("name", "value"), HEADERS)
def test_a_header_with_bytes_that_no_header_has_is_answered(target: Target, name: bytes, value: bytes) -> None:
    requests = [
        (b"GET", b"/"), (b"GET", b"/quizzes/warm-up"), (b"POST", b"/quizzes/warm-up/start"),
        (b"POST", b"/api/v1/items"),
        (b"GET", f"/api/v1/quizzes/{target.quiz}".encode()), (b"PUT", b"/api/v1/items/1"), (b"POST", b"/sign-in"),
        (b"GET", b"/static/poolproof.css"), (b"POST", f"/api/v1/quizzes/{target.quiz}/attempts".encode()),
        (b"GET", b"/studio"), (b"GET", b"/api/v1/items"), (b"POST", b"/sign-out"),
    ]  # fmt: skip
    for method, address in requests:
        body = b"" if method == b"GET" else b"{}"
        headers = {b"Host": b"x", b"Authorization": target.author, b"Content-Type": JSON, name: value}
        length = {b"Content-Length": str(len(body)).encode()}
        assert 0 < target.send(method, address, headers | length, body) < 500, (method, address)
    target.assert_undisturbed()


def test_an_address_that_leads_nowhere_is_answered(target: Target) -> None:
    headers = {b"Host": b"x", b"Authorization": target.author}
    statuses = {address: target.send(b"GET", address.encode(), headers) for address in TARGETS}
    assert {address: status for address, status in statuses.items() if not 0 < status < 500} == {}
    target.assert_undisturbed()


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 30_000, b"[" * 30_000 + b"]" * 30_000, b'{"a":' * 10_000, b"1" * 5000, b'{"name": ' + b"1" * 5000 + b"}",
        b'{"choices": [' + b"1" * 600 + b"]}", b'{"choices": [1e999]}', b'{"choices": [NaN], "sequence": Infinity}',
        b'{"name": "\\ud800", "stem": "\\udfff", "title": "\\ud800"}', b'{"\\ud800": 1}', b'{"name": "\\u0000"}',
        b'{"name": "\xff"}', b"\xef\xbb\xbf{}", b'{"title": "x", "items": [9223372036854775808]}',
        b'{"title": "x", "items": [9223372036854775807]}', b'{"opens_at": "0001-01-01T00:00:00+14:00"}',
        b'{"closes_at": "9999-12-31T23:59:59-14:00"}', b'{"opens_at": "2016-12-31T23:59:60Z"}',
        b'{"opens_at": "0001-01-01T00:00:00Z"}',
    ],
    ids=range(19),
)  # fmt: skip
def test_json_at_the_edge_of_what_can_be_read_is_answered_at_every_route(target: Target, body: bytes) -> None:
    document = httpx2.get(f"{target.service.address}/api/v1/openapi.json").json()
    names = {"item_id": "1", "quiz_id": str(target.quiz), "import_id": "1", "run_id": "1", "token": target.attempt}
    headers = {b"Host": b"x", b"Authorization": target.author, b"Content-Type": JSON}
    length = {b"Content-Length": str(len(body)).encode()}
    for path, item in document["paths"].items():
        for method in item.keys() & {"post", "put", "patch"}:
            address = path.format_map(names).encode()
            query = b"?format=json" if address.endswith(b"/items/import") else b""
            status = target.send(method.upper().encode(), address + query, headers | length, body)
            assert 0 < status < 500, (method, path)
    target.assert_undisturbed()
