"""What is asked of each sample application, on whatever database it is."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeoutError

from poolproof.core.queue_pool import FairQueuePool
from tests.apps.sample import HELD, LEAKS, Base, SampleApp, asgi_get
from tests.support.event_loop import run_coroutine

THREADS = 40
SECONDS = 3.0
CONNECTIONS = 4
MIN_JAIN = 0.99

Open = Callable[..., SampleApp]


@dataclass
class Press:
    """What the callers got."""

    served: list[int]
    failed: int = 0

    def count(self, number: int, status: int) -> None:
        self.served[number] += status == 200
        self.failed += status != 200

    def is_even(self) -> bool:
        """Say whether all got the same, but for a request that was under way at the end."""
        return self.jain() >= MIN_JAIN or max(self.served) - min(self.served) <= 1

    def jain(self) -> float:
        squares = sum(count * count for count in self.served)
        return sum(self.served) ** 2 / (len(self.served) * squares) if squares else 0.0


def module(name: str) -> ModuleType:
    return importlib.import_module(f"tests.apps.{name}")


@contextmanager
def opened(url: str, other_url: str) -> Iterator[Open]:
    """Yield what makes a sample application with tables of its own; in the end nothing of it is left."""
    with ExitStack() as cleanup:

        def make(name: str, *, adopted: bool) -> SampleApp:
            sample: SampleApp = module(name).create(url, other_url, adopted=adopted)
            for engine in sample.engines:
                cleanup.callback(engine.dispose)
                cleanup.callback(Base.metadata.drop_all, engine)
                Base.metadata.create_all(engine)
            return sample

        yield make
        for held in HELD:
            getattr(held, "close", lambda: None)()
        HELD.clear()


def press(sample: SampleApp) -> Press:
    """Let forty callers ask for `/hold` again and again, each as soon as it was answered."""
    press = Press([0] * THREADS)
    if sample.is_asgi:
        run_coroutine(press_asgi(sample, press))
        return press
    ends_at = time.monotonic() + SECONDS

    def call(number: int) -> None:
        while time.monotonic() < ends_at:
            press.count(number, sample.get("/hold").status)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return press


async def press_asgi(sample: SampleApp, press: Press) -> None:
    ends_at = time.monotonic() + SECONDS

    async def call(number: int) -> None:
        while time.monotonic() < ends_at:
            try:
                reply = await asgi_get(sample.application, "/hold")
                press.count(number, reply.status)
            except SQLAlchemyTimeoutError:
                # The stock pool's error reaches the server.
                press.count(number, 500)

    await asyncio.gather(*(call(number) for number in range(THREADS)))


def check_leaks(sample: SampleApp, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Three leaks, twice each, are three reports with the application's own lines."""
    for _ in range(2):
        for leak in LEAKS:
            assert sample.get(f"/leak/{leak}").status == 200
    reports = [record.getMessage() for record in caplog.records if "orphaned" in record.getMessage()]
    places = [match_place(report) for report in reports]
    assert places == [f"tests/apps/{name}.py:{line}" for line in leaking_lines(name)]


def check_full_pool(sample: SampleApp) -> None:
    """A full pool is 503, and passes."""
    with ExitStack() as held:
        for _ in range(CONNECTIONS):
            held.enter_context(sample.engines[0].connect())
        reply = sample.get("/hold")
    assert reply.status == 503
    assert 1 <= int(reply.headers["retry-after"]) <= 5
    assert sample.get("/hold").status == 200


def check_session(open_sample: Open, name: str) -> None:
    """A session has the variables that it has with the stock pool, and a rollback leaves nothing."""
    stock, ours = (open_sample(name, adopted=adopted).get("/variables") for adopted in (False, True))
    assert stock.status == 200
    assert json.loads(ours.text) == json.loads(stock.text)
    assert open_sample(name, adopted=True).get("/rollback").text == "0"


def check_pools(sample: SampleApp) -> None:
    """Every engine has the fair pool with the application's options, also after dispose()."""
    for engine in sample.engines:
        for _ in range(2):
            pool = engine.pool
            assert isinstance(pool, FairQueuePool)
            assert (pool.size(), pool.limit(), pool.timeout()) == (CONNECTIONS, CONNECTIONS, 1.0)
            engine.dispose()


def match_place(report: str) -> str:
    found = re.search(r"borrowed at (\S+:\d+) in", report)
    assert found, report
    return found[1]


def leaking_lines(name: str) -> list[int]:
    """The lines of a sample that leak, in the order of `LEAKS`."""
    lines = Path(inspect.getfile(module(name))).read_text().splitlines()
    words = ("# the session's leak", "# the connection's leak", "# the raw leak")
    return [next(number for number, line in enumerate(lines, 1) if word in line) for word in words]
