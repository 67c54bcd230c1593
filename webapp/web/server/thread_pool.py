"""The request threads of a Gunicorn worker. Loaded by Gunicorn's master; imports nothing of ours.

Written by hand in place of `concurrent.futures`, which makes a future with a lock and a condition for every request.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

log = logging.getLogger(__name__)


class RequestThreadPool:
    """A fixed number of threads that run tasks from one queue; whatever a task raises, its thread goes on."""

    def __init__(self, max_threads: int, name: str = "request") -> None:
        """Start no thread yet: one is started with each task until there are `max_threads`."""
        self._max_threads = max_threads
        self._name = name
        self._tasks: SimpleQueue[tuple[Callable[..., None], tuple[Any, ...]] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._last_taken_at = time.monotonic()

    def queued(self) -> int:
        """Return how many tasks wait for a thread."""
        return self._tasks.qsize()

    def stuck_for(self) -> float:
        """Return for how many seconds no thread has taken a task although some wait; 0.0 while none waits."""
        return time.monotonic() - self._last_taken_at if self.queued() else 0.0

    def submit(self, task: Callable[..., None], *arguments: Any) -> None:
        """Have a thread run `task`."""
        self._tasks.put((task, arguments))
        if len(self._threads) < self._max_threads:
            number = len(self._threads)
            thread = threading.Thread(target=self._run, name=f"{self._name}-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def shutdown(self, *, wait: bool) -> None:
        """End the threads once they have run the tasks that are queued."""
        for _ in self._threads:
            self._tasks.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _run(self) -> None:
        while (item := self._tasks.get()) is not None:
            self._last_taken_at = time.monotonic()
            task, arguments = item
            try:
                task(*arguments)
            except BaseException:
                # SystemExit among them: it would end the thread, and with the last of them the worker would be mute.
                log.exception("A task failed in a request thread, which continues")
