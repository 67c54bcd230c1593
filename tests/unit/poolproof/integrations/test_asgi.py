"""The ASGI middleware: deadlines, what a request leaves behind, and tasks after the response."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from poolproof import PoolproofMiddleware, adopt, deadlines
from poolproof.adoption.engines import adopted_lane
from poolproof.core.stats import RequestStatistics
from poolproof.errors import PoolTimeoutError
from poolproof.leaks.leak_detector import Violation
from tests.apps.sample import HttpReply, asgi_get
from tests.support.clock import SettableClock
from tests.support.event_loop import run_coroutine
from tests.support.pools import queue_pool
from tests.support.waiting import wait_until

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


@pytest.fixture
def server_engine(server_flavour: str, new_schema: Callable[[str, str], str]) -> Iterator[Engine]:
    engine = adopt(create_engine(new_schema(server_flavour, "asgi"), pool_size=2, max_overflow=0))
    yield engine
    assert queue_pool(engine).checkedout() == 0
    engine.dispose()


def test_a_cancelled_request_leaves_its_connection_to_the_thread_that_uses_it(server_engine: Engine) -> None:
    others, running, has_ended = create_engine(server_engine.url), threading.Event(), threading.Event()

    results: list[int] = []

    def query() -> None:
        with server_engine.connect() as connection:
            running.set()
            results.append(connection.execute(text("SELECT GET_LOCK('asgi', 60)")).scalar_one())
        has_ended.set()

    async def application(scope: Any, receive_message: Any, send: Any) -> None:
        await asyncio.to_thread(query)

    async def cancelled() -> None:
        request = asyncio.create_task(asgi_get(PoolproofMiddleware(application), "/items"))
        await asyncio.to_thread(running.wait)
        await asyncio.sleep(0.1)
        request.cancel()
        with suppress(asyncio.CancelledError):
            async with asyncio.timeout(20):
                await request
        # Its rollback would have waited for that statement, or have read a part of its reply.
        with server_engine.connect() as connection:
            assert connection.execute(text("SELECT 'another'")).scalar_one() == "another"
        assert not has_ended.is_set()
        holder.execute(text("SELECT RELEASE_LOCK('asgi')"))

    with others.connect() as holder:
        holder.execute(text("SELECT GET_LOCK('asgi', 0)"))
        run_coroutine(cancelled())
    assert has_ended.wait(20)
    others.dispose()
    assert results == [1]


def test_what_a_thread_borrows_after_the_end_of_its_request_is_taken_back(engine: Engine, clock: SettableClock) -> None:
    borrowed: list[object] = []
    is_over = threading.Event()

    def borrow_late() -> None:
        is_over.wait()
        borrowed.append(engine.connect())

    async def application(scope: Any, receive_message: Any, send: Any) -> None:
        await asyncio.to_thread(borrow_late)

    async def cancelled() -> None:
        request = asyncio.create_task(asgi_get(PoolproofMiddleware(application), "/items"))
        await asyncio.sleep(0.05)
        request.cancel()
        with suppress(asyncio.CancelledError):
            await request
        is_over.set()

    run_coroutine(cancelled())
    wait_until(lambda: bool(borrowed))
    detector = adopted_lane(engine).leak_detector
    detector.scan()
    assert queue_pool(engine).checkedout() == 1
    clock.advance(3.0)
    detector.scan()
    assert queue_pool(engine).checkedout() == 0
    assert detector.counts == {Violation.ORPHANED: 1}
