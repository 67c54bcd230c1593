"""Steady answers: each connection sends an answer as soon as the last one is acknowledged.

The client is one epoll loop that reads only the status and the length of each response, because it shares the
processors with what it measures.
"""

from __future__ import annotations

import json
import multiprocessing
import select
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

WARM_UP = 1.0
"""Seconds that are not counted."""
RECEIVE_SIZE = 65_536
_SUCCESSES = (b"HTTP/1.1 200", b"HTTP/1.0 200", b"HTTP/1.1 304")


@dataclass(frozen=True)
class Steady:
    """Acknowledged answers a second, the number of other responses, and the client's processor seconds a second."""

    answers_per_second: float
    others: int
    client_cpu: float
    responses: int = 0
    """All of them, those of the first second, too."""


def answers(port: int, paths: Sequence[str], items: Sequence[int], connections: int, seconds: float) -> Steady:
    """Send answers to the attempts at these paths."""
    return send(port, [[request(path, item) for item in items] for path in paths], connections, seconds)


def send(port: int, requests: Sequence[Sequence[bytes]], connections: int, seconds: float) -> Steady:
    """Send requests in a process of its own; each connection sends one of these lists, again and again."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_run, port, requests, connections, seconds).result()


def _run(port: int, requests: Sequence[Sequence[bytes]], connections: int, seconds: float) -> Steady:
    epoll, sockets, positions = select.epoll(), {}, {}
    for number in range(connections):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        own_requests = requests[number % len(requests)]
        sockets[connection.fileno()], positions[connection.fileno()] = (connection, own_requests), 0
        epoll.register(connection.fileno(), select.EPOLLIN)
        connection.sendall(own_requests[0])
    counts_from, ends_at = time.monotonic() + WARM_UP, time.monotonic() + WARM_UP + seconds
    acknowledged = others = responses = 0
    parts: dict[int, bytes] = {}
    cpu = time.process_time()
    while (now := time.monotonic()) < ends_at:
        for number, _ in epoll.poll(0.5):
            connection, own_requests = sockets[number]
            received = connection.recv(RECEIVE_SIZE)
            if not received:
                raise SystemExit("A connection was closed in the middle.")
            response = parts.pop(number, b"") + received
            if not _is_complete(response):
                parts[number] = response
                continue
            responses += 1
            if now >= counts_from:
                if response.startswith(_SUCCESSES):
                    acknowledged += 1
                else:
                    others += 1
            positions[number] = position = (positions[number] + 1) % len(own_requests)
            connection.sendall(own_requests[position])
    return Steady(acknowledged / seconds, others, (time.process_time() - cpu) / (seconds + WARM_UP), responses)


def request(path: str, item: int) -> bytes:
    """Return an answer to an item of the attempt at this path."""
    body = json.dumps({"choices": [item % 3]}).encode()
    head = f"PUT {path}/answers/{item} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _is_complete(response: bytes) -> bool:
    head, blank, body = response.partition(b"\r\n\r\n")
    start = head.lower().find(b"content-length:")
    return bool(blank) and start >= 0 and len(body) == int(head[start + 15 :].split(b"\r\n", 1)[0])
