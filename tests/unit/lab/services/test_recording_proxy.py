"""What a proxy records of the connections through it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.support.waiting import wait_until
from webapp.lab.services.processes import HOST, free_port
from webapp.lab.services.recording_proxy import RecordingProxy, RequestScanner, record

TWO_REQUESTS = b"PUT /answers/1 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET /quizzes HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def proxy() -> Iterator[RecordingProxy]:
    """In front of a server that sends back what it receives."""
    with socket.create_server((HOST, 0)) as listening:

        def echo() -> None:
            connection, _ = listening.accept()
            with connection:
                while received := connection.recv(65536):
                    connection.sendall(received)

        thread = threading.Thread(target=echo)
        thread.start()
        with record(listening.getsockname()[1]) as proxy:
            yield proxy
        thread.join()


def test_requests_are_found_however_they_are_cut() -> None:
    for size in range(1, len(TWO_REQUESTS)):
        scanner = RequestScanner()
        pieces = [TWO_REQUESTS[start : start + size] for start in range(0, len(TWO_REQUESTS), size)]
        found = [request for piece in pieces for request in scanner.feed(piece)]
        assert found == [("PUT", "/answers/1"), ("GET", "/quizzes")]


def test_a_connection_is_recorded_from_its_silence_to_its_end(proxy: RecordingProxy) -> None:
    with socket.create_connection((HOST, proxy.port)) as client:
        wait_until(lambda: len(proxy.connections()) == 1)
        (recorded,) = proxy.connections()
        assert (recorded.first_byte_at, recorded.idle_before_use, recorded.closed_at) == (None, None, None)
        client.sendall(TWO_REQUESTS)
        received = b""
        while received != TWO_REQUESTS:
            received += client.recv(65536)
        assert [request.path for request in recorded.requests] == ["/answers/1", "/quizzes"]
        assert recorded.first_byte_at is not None
        assert recorded.first_reply_at is not None
        assert recorded.opened_at < recorded.first_byte_at < recorded.first_reply_at
    wait_until(lambda: recorded.closed_at is not None)


def test_a_service_that_refuses_connections_refuses_them_through_the_proxy_too() -> None:
    with record(free_port()) as proxy, socket.create_connection((HOST, proxy.port)) as client:
        assert client.recv(1) == b""
