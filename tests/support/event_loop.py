"""Coroutines in a test process whose main thread may have an event loop already: Playwright leaves one there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def run_in_thread(function: Callable[[], T]) -> T:
    """Call a function, which runs an event loop, in a thread of its own; return its result."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(function).result()


def run_coroutine(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in an event loop of a thread of its own; return its result."""
    return run_in_thread(lambda: asyncio.run(coroutine))
