"""Answers that come later: no request thread waits for a commit, and no client can hold up the others."""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.integration.fleet import eventually
from tests.support import PROJECT
from webapp.lab.services.database_server import DatabaseServer
from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof_service
from webapp.quizzes.published_cache import CATALOG_TTL

pytestmark = pytest.mark.usefixtures("prepared")

SLOW_LIMIT = 4.0
"""Seconds in which a head and a body have to be there in these tests."""
ONE_THREAD = {
    "POOLPROOF_WORKERS": "1", "POOLPROOF_THREADS": "1", "POOL_BACKGROUND_SIZE": "1", "POOLPROOF_PLAYER_RATE_LIMIT": "0",
}  # fmt: skip


@dataclass
class Attempt:
    """An attempt that has a row, and an item to answer."""

    address: str
    item: int

    def answer(self, choice: int) -> httpx2.Response:
        return httpx2.put(f"{self.address}/answers/{self.item}", json={"choices": [choice]}, timeout=30)

    def request(self, choice: int, version: str = "1.1", more: str = "") -> bytes:
        """The same as bytes."""
        body = json.dumps({"choices": [choice]})
        parts = urlsplit(self.address)
        head = f"PUT {parts.path}/answers/{self.item} HTTP/{version}\r\nHost: {parts.netloc}\r\n{more}"
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()

    def connect(self) -> socket.socket:
        parts = urlsplit(self.address)
        return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=60)


@pytest.fixture(scope="module")
def shared_service(server: DatabaseServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PoolproofService]:
    """One worker with one thread, which gives up slow clients sooner than usual."""
    url, folder = server.url("poolproof"), tmp_path_factory.mktemp("later")
    command = (sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "wsgi:app")
    limits = {"POOLPROOF_HEAD_TIMEOUT": str(SLOW_LIMIT), "POOLPROOF_BODY_TIMEOUT": str(SLOW_LIMIT)}
    with run_poolproof_service(url, folder, PROJECT, command, **ONE_THREAD, **limits) as service:
        yield service


@pytest.fixture
def attempts(service: PoolproofService) -> list[Attempt]:
    return attempts_at(service)


def attempts_at(service: PoolproofService) -> list[Attempt]:
    with httpx2.Client(base_url=service.address) as client:
        quiz = client.get("/api/v1/quizzes").json()["quizzes"][0]["id"]
        item = client.get(f"/api/v1/quizzes/{quiz}").json()["questions"][0]["item"]
        made = [client.post(f"/api/v1/quizzes/{quiz}/attempts", json={}).json()["token"] for _ in range(8)]
        found = [Attempt(f"{service.address}/api/v1/attempts/{token}", item) for token in made]
        for attempt in found:
            answer = client.put(f"{attempt.address}/answers/{item}", json={"choices": [0]})
            assert answer.status_code == 200
    return found


def look_for_changes(attempts: list[Attempt]) -> None:
    """Have the worker look whether quizzes have changed, so that no request does so in the next moment."""
    time.sleep(CATALOG_TTL)
    assert attempts[-1].answer(0).status_code == 200


def received(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.fixture
def patient(server: DatabaseServer, tmp_path: Path) -> Iterator[PoolproofService]:
    """A service whose players wait a minute for a commit; while one waits, a connection is left for what is read."""
    times = {
        "POOL_TIMEOUT": "60",
        "POOL_REQUEST_DEADLINE": "60",
        "POOL_STATEMENT_TIMEOUT": "90",
        "POOL_READ_TIMEOUT": "100",
    }
    with run_poolproof_service(server.url("poolproof"), tmp_path, **ONE_THREAD, **times, POOL_SIZE="2") as service:
        yield service


@pytest.mark.slow(reason="answers wait for a locked table until their time is over")
def test_while_eight_answers_wait_for_their_commit_the_only_thread_serves_others(
    server: DatabaseServer, patient: PoolproofService
) -> None:
    attempts = attempts_at(patient)
    with closing(server.connect("poolproof")) as other, other.cursor() as cursor, ExitStack() as stack:
        cursor.execute("LOCK TABLES answer WRITE")
        waiting = [stack.enter_context(closing(attempt.connect())) for attempt in attempts]
        for attempt, connection in zip(attempts, waiting, strict=True):
            connection.sendall(attempt.request(1, more="Connection: close\r\n"))
        # The thread takes requests in the order of their connections: it has let go of all eight when it answers this.
        assert httpx2.get(f"{patient.address}/healthz", timeout=30).status_code == 200
        assert select.select(waiting, [], [], 0)[0] == [], "they do wait"
        cursor.execute("UNLOCK TABLES")
        answers = [received(connection) for connection in waiting]
    assert [answer.split(b"\r\n")[0] for answer in answers] == [b"HTTP/1.1 200 OK"] * 8


def test_an_answer_whose_commit_takes_too_long_is_told_in_time_to_come_again(
    server: DatabaseServer, attempts: list[Attempt]
) -> None:
    look_for_changes(attempts)
    server.pause()
    try:
        started_at = time.monotonic()
        answer = attempts[0].answer(1)
        took = time.monotonic() - started_at
    finally:
        server.resume()
    assert answer.status_code == 503
    assert answer.headers["Retry-After"].isdecimal()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert took < 5


def test_a_refusal_comes_later_too_and_is_a_problem(attempts: list[Attempt]) -> None:
    assert httpx2.post(f"{attempts[0].address}/finish").status_code == 200
    late = attempts[0].answer(1)
    assert (late.status_code, late.json()["type"]) == (409, "/problems#attempt-finished")


def test_many_requests_on_one_connection_are_answered_in_their_order(attempts: list[Attempt]) -> None:
    attempt = attempts[0]
    with closing(attempt.connect()) as connection:
        sent = [attempt.request(number % 2) for number in range(19)]
        connection.sendall(b"".join([*sent, attempt.request(1, more="Connection: close\r\n")]))
        answers = received(connection).split(b"HTTP/1.1 200 OK")[1:]
    assert [json.loads(one.split(b"\r\n\r\n")[1])["choices"] for one in answers] == [[n % 2] for n in range(20)]
    assert [b"Connection: close" in one for one in answers] == [False] * 19 + [True]


def test_an_answer_that_comes_in_pieces_waits_for_its_last_piece(attempts: list[Attempt]) -> None:
    slow = attempts[0]
    with closing(slow.connect()) as connection:
        connection.sendall(slow.request(0))
        assert b"200 OK" in connection.recv(65536)
        request = slow.request(1)
        # On a connection that is known, the head without all of its body, then a client that thinks.
        connection.sendall(request[:-5])
        time.sleep(0.3)
        connection.sendall(request[-5:])
        answer = connection.recv(65536)
    assert json.loads(answer.split(b"\r\n\r\n")[1])["choices"] == [1]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ((b'{"choices": [1]}', b'{"choices": [77}'), b"400"),
        ((b"application/json", b"text/plainabcdef"), b"415"),
        ((b'{"choices": [1]}', b'{"choices": [9]}'), b"422"),
        ((b"Content-Length: 16", b"Content-Length: 16\r\nContent-Length: 15"), b"400"),
    ],
)
def test_what_is_wrong_on_a_known_connection_is_told_as_ever(
    attempts: list[Attempt], change: tuple[bytes, bytes], status: bytes
) -> None:
    with closing(attempts[0].connect()) as connection:
        for _ in range(3):
            connection.sendall(attempts[0].request(1))
            assert b"HTTP/1.1 200 OK" in connection.recv(65536)
        connection.sendall(attempts[0].request(1).replace(*change).replace(b"Host:", b"Connection: close\r\nHost:"))
        assert received(connection).split(b" ")[1] == status
    assert attempts[1].answer(1).status_code == 200


def test_an_old_client_gets_its_answer_and_the_end_of_the_connection(attempts: list[Attempt]) -> None:
    with closing(attempts[0].connect()) as connection:
        connection.sendall(attempts[0].request(1, version="1.0"))
        answer = received(connection)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close" in answer


def test_who_hangs_up_before_the_answer_harms_nobody(attempts: list[Attempt]) -> None:
    for _ in range(20):
        connection = attempts[0].connect()
        connection.sendall(attempts[0].request(1))
        connection.close()
    assert attempts[1].answer(1).status_code == 200


def test_who_stops_in_the_midst_of_a_request_holds_no_thread_and_is_told_after_some_seconds(
    attempts: list[Attempt],
) -> None:
    with closing(attempts[0].connect()) as known, closing(attempts[1].connect()) as new:
        known.sendall(attempts[0].request(1))
        assert b"200 OK" in known.recv(65536)
        known.sendall(attempts[0].request(1)[:-5])
        new.sendall(attempts[1].request(1)[:-5])
        assert attempts[2].answer(1).status_code == 200
        assert select.select([known, new], [], [], 0)[0] == [], "they do wait"
        assert received(known).split(b" ")[1] == b"408"
        assert received(new).split(b" ")[1] == b"408"


def test_an_upload_over_a_bad_line_is_waited_for(attempts: list[Attempt]) -> None:
    with closing(attempts[0].connect()) as connection:
        body = json.dumps({"choices": [1], "padding": "x" * 40_000}).encode()
        head = attempts[0].request(1, more="Connection: close\r\n").split(b"Content-Length")[0]
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body))
        for start in range(0, len(body), 4_000):
            time.sleep(0.2)
            connection.sendall(body[start : start + 4_000])
        answer = received(connection)
    assert answer.startswith(b"HTTP/1.1 4"), "understood to its end: there is no such field"
    assert b"padding" in answer


def test_who_never_reads_is_hung_up_on_and_holds_nobody_up(attempts: list[Attempt]) -> None:
    lazy = attempts[0]
    with closing(lazy.connect()) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.settimeout(0.2)
        asked = 0
        # Each answer stays in the server's buffers until they are full.
        while asked < 50_000 and send(connection, lazy.request(1)):
            asked += 1
        assert attempts[1].answer(1).status_code == 200
    assert attempts[2].answer(1).status_code == 200


def send(connection: socket.socket, request: bytes) -> bool:
    """Send, and say whether the server still takes something."""
    try:
        connection.sendall(request)
    except (TimeoutError, ConnectionError):
        return False
    return True


def test_a_worker_that_is_told_to_stop_answers_what_comes_on_its_connections_and_then_closes_them(
    service: PoolproofService, attempts: list[Attempt]
) -> None:
    answered: Counter[str] = Counter()

    def play(attempt: Attempt) -> set[int]:
        statuses, closes = set(), False
        with httpx2.Client(timeout=30) as client:
            while not closes:
                answer = client.put(f"{attempt.address}/answers/{attempt.item}", json={"choices": [0]})
                statuses.add(answer.status_code)
                answered[attempt.address] += 1
                closes = answer.headers["Connection"] == "close"
        return statuses

    with ThreadPoolExecutor(4) as players:
        playing = [players.submit(play, attempt) for attempt in attempts[:4]]
        eventually(lambda: min(answered.values(), default=0) > 5 and len(answered) == len(playing))
        service.stop()
        found = [future.result() for future in playing]
    assert found == [{200}] * 4, "no answer was cut off"
