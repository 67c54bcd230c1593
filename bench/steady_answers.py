"""Steady answers: 64 connections, each sends an answer as soon as the last one is acknowledged.

The client is one epoll loop that looks at no more than each answer's status and length: it shares the
cores with what it measures.
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
LARGEST = 65_536


@dataclass(frozen=True)
class Steady:
    """Acknowledged answers a second, what else came, and the client's processor seconds a second."""

    answers_per_second: float
    others: int
    client_cpu: float


def answers(port: int, addresses: Sequence[str], items: Sequence[int], connections: int, seconds: float) -> Steady:
    """Send answers to attempts at `addresses` (paths), in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_run, port, addresses, items, connections, seconds).result()


def _run(port: int, addresses: Sequence[str], items: Sequence[int], connections: int, seconds: float) -> Steady:
    requests = [[_request(address, item) for item in items] for address in addresses]
    poll, sockets, turns = select.epoll(), {}, {}
    for number in range(connections):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        mine = requests[number % len(requests)]
        sockets[connection.fileno()], turns[connection.fileno()] = (connection, mine), 0
        poll.register(connection.fileno(), select.EPOLLIN)
        connection.sendall(mine[0])
    counts_from, ends_at = time.monotonic() + WARM_UP, time.monotonic() + WARM_UP + seconds
    well = others = 0
    parts: dict[int, bytes] = {}
    cpu = time.process_time()
    while (now := time.monotonic()) < ends_at:
        for number, _ in poll.poll(0.5):
            connection, mine = sockets[number]
            received = connection.recv(LARGEST)
            if not received:
                raise SystemExit("A connection was closed in the middle.")
            answer = parts.pop(number, b"") + received
            if not _is_whole(answer):
                parts[number] = answer
                continue
            if now >= counts_from:
                if answer.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
                    well += 1
                else:
                    others += 1
            turns[number] = turn = (turns[number] + 1) % len(mine)
            connection.sendall(mine[turn])
    return Steady(well / seconds, others, (time.process_time() - cpu) / (seconds + WARM_UP))


def _request(address: str, item: int) -> bytes:
    body = json.dumps({"choices": [item % 3]}).encode()
    head = f"PUT {address}/answers/{item} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _is_whole(answer: bytes) -> bool:
    head, blank, body = answer.partition(b"\r\n\r\n")
    at = head.lower().find(b"content-length:")
    return bool(blank) and at >= 0 and len(body) == int(head[at + 15 :].split(b"\r\n", 1)[0])
