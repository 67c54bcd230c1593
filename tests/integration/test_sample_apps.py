"""Applications as others write them: with the stock pool they fail, with the lines of our pages they do not.

Forty threads on four connections, each held for 20 ms, with a time-out of one second.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeoutError

from poolproof.core.queue_pool import FairQueuePool
from tests.apps.sample import HELD, LEAKS, Base, SampleApp, asgi_get

NAMES = ("factory", "old_style", "binds", "core_session", "fastapi_sync", "one_liner")
WATCHED = NAMES[:-1]
"""Those whose lines bring leak reports and 503; the pool alone is only fair."""
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


@pytest.fixture
def open_sample(database: str, new_schema: Callable[[str, str], str]) -> Iterator[Open]:
    """Make a sample application with tables of its own."""
    urls = new_schema(database, "sample"), new_schema(database, "sample_other")
    with ExitStack() as opened:

        def make(name: str, *, adopted: bool) -> SampleApp:
            sample: SampleApp = module(name).create(*urls, adopted=adopted)
            for engine in sample.engines:
                opened.callback(engine.dispose)
                opened.callback(Base.metadata.drop_all, engine)
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
        asyncio.run(press_asgi(sample, press))
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


@pytest.mark.parametrize("name", NAMES)
def test_with_the_stock_pool_requests_fail_and_some_get_less_than_others(
    open_sample: Open, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    got = press(open_sample(name, adopted=False))
    assert got.failed > 0
    assert not got.is_even()


@pytest.mark.parametrize("name", NAMES)
def test_with_the_documented_lines_none_fails_and_all_are_served_alike(
    open_sample: Open, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    got = press(open_sample(name, adopted=True))
    assert got.failed == 0
    assert got.is_even()


@pytest.mark.parametrize("name", NAMES)
def test_a_rollback_leaves_nothing_behind(open_sample: Open, name: str) -> None:
    assert open_sample(name, adopted=True).get("/rollback").text == "0"


@pytest.mark.parametrize("name", NAMES)
def test_a_session_has_the_variables_that_it_has_with_the_stock_pool(open_sample: Open, name: str) -> None:
    stock, ours = (open_sample(name, adopted=adopted).get("/variables") for adopted in (False, True))
    assert stock.status == 200
    assert json.loads(ours.text) == json.loads(stock.text)


@pytest.mark.parametrize("name", WATCHED)
def test_three_leaks_are_three_reports_each_with_the_applications_own_line(
    open_sample: Open, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    sample = open_sample(name, adopted=True)
    for _ in range(2):
        for leak in LEAKS:
            assert sample.get(f"/leak/{leak}").status == 200
    reports = [record.getMessage() for record in caplog.records if "orphaned" in record.getMessage()]
    places = [match_place(report) for report in reports]
    assert places == [f"tests/apps/{name}.py:{line}" for line in leaking_lines(name)]


def match_place(report: str) -> str:
    found = re.search(r"borrowed at (\S+:\d+) in", report)
    assert found, report
    return found[1]


def leaking_lines(name: str) -> list[int]:
    """The lines of a sample that leak, in the order of `LEAKS`."""
    lines = Path(inspect.getfile(module(name))).read_text().splitlines()
    words = ("# the session's leak", "# the connection's leak", "# the raw leak")
    return [next(number for number, line in enumerate(lines, 1) if word in line) for word in words]


@pytest.mark.parametrize("name", WATCHED)
def test_a_full_pool_is_503_with_retry_after(open_sample: Open, name: str) -> None:
    sample = open_sample(name, adopted=True)
    with ExitStack() as held:
        for _ in range(CONNECTIONS):
            held.enter_context(sample.engines[0].connect())
        reply = sample.get("/hold")
    assert reply.status == 503
    assert 1 <= int(reply.headers["retry-after"]) <= 5
    assert sample.get("/hold").status == 200


@pytest.mark.parametrize("name", NAMES)
def test_every_engine_has_the_fair_pool_with_the_options_of_the_application_also_after_dispose(
    open_sample: Open, name: str
) -> None:
    for engine in open_sample(name, adopted=True).engines:
        for _ in range(2):
            pool = engine.pool
            assert isinstance(pool, FairQueuePool)
            assert (pool.size(), pool.limit(), pool.timeout()) == (CONNECTIONS, CONNECTIONS, 1.0)
            engine.dispose()
