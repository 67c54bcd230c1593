"""The ASGI middleware: deadlines, what a request leaves behind, and tasks after the response."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from poolproof import PoolproofMiddleware, adopt, deadlines
from poolproof.adoption.engines import adopted_lane
from poolproof.core.stats import RequestStatistics
from poolproof.errors import PoolTimeoutError
from tests.apps.sample import HttpReply, asgi_get
from tests.support.clock import SettableClock
from tests.support.event_loop import run_coroutine
from tests.support.pools import queue_pool

START = {"type": "http.response.start", "status": 200, "headers": []}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path / 'asgi'}", pool_size=1, max_overflow=0, pool_timeout=30)
    yield adopt(engine)
    assert queue_pool(engine).checkedout() == 0
    engine.dispose()


def serve(application: Any, deadline: float = 20.0, statistics: RequestStatistics | None = None) -> HttpReply:
    return run_coroutine(asgi_get(PoolproofMiddleware(application, deadline, statistics), "/items"))


def use(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))


def test_what_a_request_leaves_is_returned_with_the_request_in_the_report(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    left = []

    async def application(scope: Any, receive_message: Any, send: Any) -> None:
        left.append(await asyncio.to_thread(engine.connect))
        await send(START)
        await send({"type": "http.response.body", "body": b"left"})

    statistics = RequestStatistics()
    assert serve(application, statistics=statistics).text == "left"
    assert queue_pool(engine).checkedout() == 0
    assert statistics.requests == 1
    assert "GET /items" in caplog.records[0].getMessage()


def test_no_wait_of_a_request_outlasts_its_deadline(engine: Engine) -> None:
    async def application(scope: Any, receive_message: Any, send: Any) -> None:
        await asyncio.to_thread(use, engine)

    with engine.connect():
        reply = serve(application, deadline=0.1)
    assert reply.status == 503
    assert int(reply.headers["retry-after"]) > 0


def test_a_task_after_the_response_has_no_deadline(engine: Engine) -> None:
    remaining: list[float | None] = []

    async def application(scope: Any, receive_message: Any, send: Any) -> None:
        remaining.append(deadlines.remaining())
        await send(START)
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        remaining.append(deadlines.remaining())
        await send({"type": "http.response.body", "body": b"last"})
        remaining.append(deadlines.remaining())

    serve(application)
    assert [one is None for one in remaining] == [False, False, True]
    assert deadlines.remaining() is None


def test_an_error_after_the_response_has_begun_is_not_answered_twice(engine: Engine) -> None:
    async def application(scope: Any, receive_message: Any, send: Any) -> None:
        await send(START)
        raise PoolTimeoutError("full")

    with pytest.raises(PoolTimeoutError, match="full"):
        serve(application)


def test_a_connection_whose_thread_has_ended_is_the_requests_until_its_end(
    engine: Engine, clock: SettableClock
) -> None:
    detector = adopted_lane(engine).leak_detector

    async def application(scope: Any, receive_message: Any, send: Any) -> None:
        # As a dependency of FastAPI: borrowed in one thread, used in another, while the first has ended.
        connection = await asyncio.to_thread(engine.connect)
        detector.checkouts.live()[0].thread = _ended_thread()
        clock.advance(60.0)
        detector.scan()
        connection.execute(text("SELECT 1"))
        connection.close()
        await send(START)
        await send({"type": "http.response.body", "body": b"used"})

    assert serve(application, deadline=600.0).text == "used"


def _ended_thread() -> Any:
    thread = threading.Thread(target=str)
    thread.start()
    thread.join()
    return thread


def test_what_is_no_request_is_passed_on() -> None:
    seen: list[str] = []

    async def application(scope: Any, receive_message: Any, send: Any) -> None:
        seen.append(scope["type"])

    run_coroutine(PoolproofMiddleware(application)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan"]
