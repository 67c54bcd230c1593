"""Wrong passwords sent to a service, and how long an ordinary page takes meanwhile.

The guesses are sent from a process of its own, so that the client's work is not counted in the page's times.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import count

import httpx2

from poolproof.lab.loadgen.http_client import HttpClient, InvalidResponseError
from webapp.lab.services.processes import HOST

PAGE_TIMEOUT = 60.0
"""Seconds."""
TOKENS_PATH = "/api/v1/tokens"


def measure_page(address: str, path: str, seconds: float, rate: float) -> list[float]:
    """Request a page `rate` times a second; return how long each response took, in seconds.

    A request that cannot be sent at its time, because the one before is not answered, counts from its time.
    """
    times = []
    with httpx2.Client(base_url=address, timeout=PAGE_TIMEOUT) as client:
        client.get(path).raise_for_status()
        started_at = time.monotonic()
        for number in range(round(seconds * rate)):
            due_at = started_at + number / rate
            time.sleep(max(0.0, due_at - time.monotonic()))
            client.get(path).raise_for_status()
            times.append(time.monotonic() - due_at)
    return times


@contextmanager
def guess_passwords(port: int, name: str, connections: int, seconds: float) -> Iterator[Future[Counter[int]]]:
    """Send wrong passwords for so long, half of the connections under `name`, each of the others under ever new names.

    Each connection sends the next as soon as the last is answered. Yields the future of how many responses had which
    status; 0 counts responses that were incomplete.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        # The process is there before the seconds begin.
        pool.submit(int).result()
        yield pool.submit(_guess, port, name, connections, seconds)


def _guess(port: int, name: str, connections: int, seconds: float) -> Counter[int]:
    statuses: Counter[int] = Counter()
    asyncio.run(_guess_on_all(port, name, connections, seconds, statuses))
    return statuses


async def _guess_on_all(port: int, name: str, connections: int, seconds: float, statuses: Counter[int]) -> None:
    tasks = [_guess_on_one(port, None if number % 2 else name, number, statuses) for number in range(connections)]
    try:
        async with asyncio.timeout(seconds):
            await asyncio.gather(*tasks)
    except TimeoutError:
        return


async def _guess_on_one(port: int, name: str | None, number: int, statuses: Counter[int]) -> None:
    client = HttpClient(HOST, port)
    try:
        for guess in count():
            body = {"name": name or f"nobody-{number}-{guess}", "password": f"guess {number} {guess}"}
            try:
                response = await client.request("POST", TOKENS_PATH, body)
            except (InvalidResponseError, OSError):
                statuses[0] += 1
                continue
            statuses[response.status] += 1
    finally:
        client.close()
