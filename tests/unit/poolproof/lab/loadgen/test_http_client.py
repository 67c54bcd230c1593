from __future__ import annotations

import pytest

from poolproof.lab.loadgen.http_client import parse_response, send_request
from webapp.lab.services.fake_opentdb import FakeOpenTdb, make_questions
from webapp.lab.services.processes import HOST, free_port

PLAIN = b"HTTP/1.1 201 CREATED\r\nContent-Length: 5\r\nRetry-After: 3\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n"


@pytest.mark.parametrize(("received", "body"), [(PLAIN, b"hello"), (CHUNKED, b"hello world")])
def test_an_answer_is_complete_at_its_last_byte_and_not_before(received: bytes, body: bytes) -> None:
    for length in range(len(received)):
        assert parse_response(bytearray(received[:length])) is None
    answer = parse_response(bytearray(received))
    assert answer is not None
    assert answer.body == body


def test_status_and_headers_are_read() -> None:
    answer = parse_response(bytearray(PLAIN))
    assert answer is not None
    assert (answer.status, answer.headers["retry-after"]) == (201, "3")


def test_an_answer_without_a_body_is_complete() -> None:
    answer = parse_response(bytearray(b"HTTP/1.1 204 NO CONTENT\r\n\r\n"))
    assert answer is not None
    assert answer.body == b""


def test_what_is_not_http_is_refused() -> None:
    with pytest.raises(ValueError, match="not an HTTP answer"):
        parse_response(bytearray(b"SSH-2.0-OpenSSH\r\n\r\n"))


def test_one_request_is_sent_without_an_event_loop() -> None:
    with FakeOpenTdb(make_questions(20, 1)) as server:
        port = int(server.address.rpartition(":")[2])
        response = send_request(HOST, port, "GET", "/api.php?amount=1")
    assert (response.status, response.headers["content-type"]) == (200, "application/json")
    assert response.json()["response_code"] == 0


def test_a_server_that_is_not_there_is_an_error_of_the_system() -> None:
    with pytest.raises(OSError, match="refused"):
        send_request(HOST, free_port(), "GET", "/")
