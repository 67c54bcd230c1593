"""Restarts while two hundred visitors come again and again, each on a connection that it keeps."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.event_loop import run_coroutine
from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof_service

pytestmark = pytest.mark.soak
VISITORS = 200
PAUSE_BETWEEN = 0.5
"""Seconds between two requests of a visitor; less than a worker that stops waits for the next one."""
USUAL_TIME = 6.0
"""Seconds in which it is seen how long a request usually takes."""
LONGER = 1.0
"""Seconds that a request may take longer during a restart."""
REQUEST = b"GET /api/v1/quizzes HTTP/1.1\r\nHost: localhost\r\n\r\n"


class VisitorGroup:
    """The visitors, what they have waited for, and what they have not been given."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.longest = 0.0
        self.answered = 0
        self.failures: list[str] = []
        self.is_ending = False

    async def visit(self) -> None:
        while not self.is_ending:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except ConnectionError as error:
                if not self.is_ending:
                    self.failures.append(f"refused: {error!r}")
                return
            # The pause is that of a visitor who reads; nothing is waited for.
            while await self.ask(reader, writer) and not self.is_ending:  # noqa: ASYNC110
                await asyncio.sleep(PAUSE_BETWEEN)
            writer.close()

    async def ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Ask once; say whether the connection stays open."""
        started_at = time.monotonic()
        try:
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
        except (OSError, EOFError) as error:
            self.failures.append(repr(error))
            return False
        if not head.startswith(b"HTTP/1.1 200 "):
            self.failures.append(head.decode())
        self.longest = max(self.longest, time.monotonic() - started_at)
        self.answered += 1
        return b"Connection: close" not in head


@asynccontextmanager
async def visiting(port: int) -> AsyncIterator[VisitorGroup]:
    visitors = VisitorGroup(port)
    tasks = [asyncio.create_task(visitors.visit()) for _ in range(VISITORS)]
    await asyncio.sleep(USUAL_TIME)
    yield visitors
    visitors.is_ending = True
    await asyncio.gather(*tasks)


async def until(what: Callable[[], bool], within: float = 90.0) -> None:
    deadline = time.monotonic() + within
    while not what():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def measure(tmp_path: Path, restart: Callable[[PoolproofService], Awaitable[None]]) -> tuple[float, VisitorGroup]:
    """Return the longest time of a request before the restart, and the visitors, with the longest during it."""

    async def measured(service: PoolproofService) -> tuple[float, VisitorGroup]:
        async with visiting(service.port) as visitors:
            usual, visitors.longest = visitors.longest, 0.0
            await restart(service)
            await asyncio.sleep(2.0)
        return usual, visitors

    with run_poolproof_service(f"sqlite:///{tmp_path / 'restart.sqlite'}", tmp_path, POOL_BOOT_CHECK="off") as service:
        usual, visitors = run_coroutine(measured(service))
    figures = f"usual {usual:.3f} s, during the restart {visitors.longest:.3f} s, {visitors.answered} answers"
    print(figures)  # noqa: T201 - the figures of a soak, shown with -s
    return usual, visitors


async def reload(service: PoolproofService) -> None:
    before = set(service.workers())
    service.reload()
    await until(lambda: not before & set(service.workers()))


async def stop_one(service: PoolproofService) -> None:
    victim = service.workers()[0]
    os.kill(victim, signal.SIGTERM)
    await until(lambda: victim not in service.workers())


@pytest.mark.parametrize("restart", [reload, stop_one], ids=lambda function: function.__name__)
def test_no_request_fails_and_none_waits_for_a_worker_to_start(
    tmp_path: Path, restart: Callable[[PoolproofService], Awaitable[None]]
) -> None:
    usual, visitors = measure(tmp_path, restart)
    assert visitors.failures == []
    assert visitors.answered > VISITORS
    assert visitors.longest < usual + LONGER


def test_a_service_that_stops_answers_every_request_that_it_has_received(tmp_path: Path) -> None:
    async def measured(service: PoolproofService) -> VisitorGroup:
        async with visiting(service.port) as visitors:
            # Who is refused from now on has not been received.
            visitors.is_ending = True
            service.process.send_signal(signal.SIGTERM)
            await until(lambda: service.process.poll() is not None)
        return visitors

    with run_poolproof_service(f"sqlite:///{tmp_path / 'stop.sqlite'}", tmp_path, POOL_BOOT_CHECK="off") as service:
        visitors = run_coroutine(measured(service))
    assert visitors.failures == []
    assert visitors.answered > VISITORS
