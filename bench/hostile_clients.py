"""Clients that mean no good, in an event loop of a process of their own: `python bench/hostile_clients.py KIND PORT`.

Each keeps its number of connections busy until the process is terminated: what the server closes is opened again.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress

from webapp.lab.loadgen.load_generator import allow_open_files
from webapp.lab.services.processes import HOST

REOPEN_DELAY = 0.5
"""Seconds after which a connection that the server has closed is opened again."""
FOREVER = 3600.0
HEAD = b"Host: 127.0.0.1\r\nUser-Agent: hostile\r\n"
PUT = b"PUT /api/v1/attempts/%b/answers/1 HTTP/1.1\r\n%bContent-Type: application/json\r\n" % (b"0" * 32, HEAD)
SLOW_RATE = 2500.0
"""Bytes a second of one slow sender: eighteen of them send 45 kB/s in all."""
LARGE_BODY = 30 * 1024 * 1024
Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say nothing until the server hangs up."""
    await reader.read()


async def close_without_hanging_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ask the server to close the connection, and keep this end of it open."""
    writer.write(b"GET /quizzes HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n")
    await reader.read()
    # The server has sent its last byte; it waits in vain for this end to close.
    await asyncio.sleep(3.0)


async def vanish_in_put(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send half an answer, and nothing more."""
    writer.write(PUT + b"Content-Length: 15\r\n\r\n{'choi")
    await reader.read()


async def send_head_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a header every now and then, and never the last one."""
    writer.write(b"GET /quizzes HTTP/1.1\r\n" + HEAD)
    while not reader.at_eof():
        writer.write(b"X-Patience: 1\r\n")
        await writer.drain()
        await _wait_or_end(reader, 0.2)


async def send_body_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a large body at the rate of an old telephone line, with a header that looks like a right to do so."""
    writer.write(b"POST /api/v1/items/import HTTP/1.1\r\n" + HEAD + b"Authorization: Bearer nobody\r\n")
    writer.write(b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % LARGE_BODY)
    while not reader.at_eof():
        writer.write(b" " * int(SLOW_RATE / 5))
        await writer.drain()
        await _wait_or_end(reader, 0.2)


async def _wait_or_end(reader: asyncio.StreamReader, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await reader.read(65536)


KINDS: dict[str, tuple[int, Client]] = {
    "silent": (1000, stay_silent),
    "closing": (80, close_without_hanging_up),
    "vanishing": (80, vanish_in_put),
    "slow-head": (80, send_head_slowly),
    "slow-body": (18, send_body_slowly),
}
"""Each kind's number of connections, and what it does with one."""


async def _keep_busy(port: int, client: Client) -> None:
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(HOST, port)
            # Closing sends a reset: a client that vanishes says no goodbye, and this end keeps no port waiting.
            peer: socket.socket = writer.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            try:
                await client(reader, writer)
            finally:
                writer.transport.abort()
        await asyncio.sleep(REOPEN_DELAY)


async def _run(port: int, connections: int, client: Client) -> None:
    await asyncio.gather(*(_keep_busy(port, client) for _ in range(connections)))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("port", type=int)
    parser.add_argument("--connections", type=int, help="how many, in place of the kind's own number")
    options = parser.parse_args()
    usual, client = KINDS[options.kind]
    connections = options.connections or usual
    allow_open_files(connections)
    asyncio.run(_run(options.port, connections, client))


if __name__ == "__main__":
    main()
