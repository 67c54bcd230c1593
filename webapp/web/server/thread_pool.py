"""The request threads of a Gunicorn worker. Loaded by Gunicorn's master; imports nothing of ours."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

log = logging.getLogger(__name__)


class RequestThreadPool:
    """So many threads that take deeds from one queue: what Gunicorn needs of an executor, without a future for each."""

    def __init__(self, max_threads: int, name: str = "request") -> None:
        """Start them as they are needed."""
        self._max_threads = max_threads
        self._name = name
        self._tasks: SimpleQueue[tuple[Callable[..., None], tuple[Any, ...]] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._last_taken_at = time.monotonic()

    def queued(self) -> int:
        """How many deeds wait for a thread."""
        return self._tasks.qsize()

    def stuck_for(self) -> float:
        """For how many seconds no thread has taken a deed although some wait; 0.0 while none does."""
        return time.monotonic() - self._last_taken_at if self.queued() else 0.0

    def submit(self, task: Callable[..., None], *arguments: Any) -> None:
        """Have a thread do `deed`."""
        self._tasks.put((task, arguments))
        if len(self._threads) < self._max_threads:
            number = len(self._threads)
            thread = threading.Thread(target=self._run, name=f"{self._name}-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def shutdown(self, *, wait: bool) -> None:
        """Let the threads end when the queue is empty."""
        for _ in self._threads:
            self._tasks.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _run(self) -> None:
        while (deed := self._tasks.get()) is not None:
            self._last_taken_at = time.monotonic()
            try:
                deed[0](*deed[1])
            except Exception:
                log.exception("A request thread met with an error and goes on")
