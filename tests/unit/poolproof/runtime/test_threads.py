"""What is no thread of the operating system is refused, with one sentence."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import create_engine

from poolproof.core.stats import RequestStatistics
from poolproof.engine import configure_engine
from poolproof.errors import PoolConfigurationError
from poolproof.integrations.wsgi import ConnectionCleanupMiddleware
from poolproof.runtime.threads import require_no_event_loop, require_threads
from poolproof.settings import PoolSettings

LIBRARIES = [("gevent.monkey", "is_module_patched"), ("eventlet.patcher", "is_monkey_patched")]


def respond(environ: dict[str, Any], start_response: object) -> Iterable[bytes]:
    return [b"served"]


@pytest.mark.parametrize(("module", "function"), LIBRARIES)
def test_threads_that_a_library_has_replaced_are_refused_at_boot(
    monkeypatch: pytest.MonkeyPatch, module: str, function: str
) -> None:
    library = ModuleType(module)
    monkeypatch.setitem(sys.modules, module, library)
    setattr(library, function, lambda name: False)
    require_threads()
    setattr(library, function, lambda name: name in {"thread", "threading"})
    with pytest.raises(PoolConfigurationError, match=r"has replaced Python's threads .* gthread"):
        configure_engine(create_engine("sqlite://"), PoolSettings(pool_class="static"))


def test_without_such_a_library_nothing_is_refused() -> None:
    require_threads()
    require_no_event_loop()


def test_an_event_loop_in_another_thread_is_no_hindrance() -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        require_no_event_loop()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def in_a_thread(operation: Callable[[], None]) -> None:
    """Run it in a thread without a loop: a browser test that ran before may have left one in this thread."""
    with ThreadPoolExecutor(1) as threads:
        threads.submit(operation).result()


def test_an_event_loop_that_is_suspended_below_the_caller_is_no_hindrance() -> None:
    allowed: list[bool] = []

    def ask() -> None:
        # No task runs, as in a thread that drives a browser by Playwright.
        assert asyncio.get_running_loop()
        require_no_event_loop()
        allowed.append(True)

    def run_a_loop() -> None:
        loop = asyncio.new_event_loop()
        loop.call_soon(ask)
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()

    in_a_thread(run_a_loop)
    assert allowed == [True]


def test_a_request_in_the_thread_of_an_event_loop_is_refused_and_one_in_a_thread_beside_it_is_served() -> None:
    middleware = ConnectionCleanupMiddleware(respond, 20.0, None, lambda: False, RequestStatistics())

    async def serve_in_the_loop() -> list[bytes]:
        return list(middleware({}, lambda: None))

    def refuse_twice() -> None:
        for _ in range(2):
            with pytest.raises(PoolConfigurationError, match="in the thread of an event loop"):
                asyncio.run(serve_in_the_loop())

    in_a_thread(refuse_twice)

    async def serve_in_a_thread() -> list[bytes]:
        return await asyncio.to_thread(lambda: list(middleware({}, lambda: None)))

    def serve_beside_it() -> None:
        assert asyncio.run(serve_in_a_thread()) == [b"served"]

    in_a_thread(serve_beside_it)
