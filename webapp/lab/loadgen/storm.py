"""Clients that play without a pause, each request on a connection of its own, and record how each one ended."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from poolproof.lab.loadgen.http_client import OK_STATUSES, HttpResponse, send_request

READS, ANSWERS, STARTS = "read", "answer", "start"
"""Kinds of requests. Reads and answers may be repeated; a start creates a new attempt each time."""
MIN_SUCCESSES = 50
"""Requests that have succeeded before the block of `storm` begins."""


@dataclass(frozen=True)
class RequestOutcome:
    """How one request ended: its status, or the name of the client's error."""

    kind: str
    result: int | str
    seconds: float
    retry_after: str | None
    ended_at: float


@dataclass
class Storm:
    """Clients that play; `outcomes` grows while they do."""

    address: str
    outcomes: list[RequestOutcome] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Take host and port from the address."""
        parts = urlsplit(self.address)
        self._host, self._port = parts.hostname or "", parts.port or 80

    def counts(self, *kinds: str) -> Counter[int | str]:
        """Count the results of the requests of these kinds; without kinds, of all."""
        return Counter(outcome.result for outcome in list(self.outcomes) if not kinds or outcome.kind in kinds)

    def failed(self, *kinds: str) -> list[RequestOutcome]:
        """Return the requests of these kinds that did not succeed; without kinds, of all."""
        failed = [outcome for outcome in self.outcomes if outcome.result not in OK_STATUSES]
        return [outcome for outcome in failed if not kinds or outcome.kind in kinds]

    def play(self) -> None:
        """Play one attempt after the other until the storm is stopped."""
        while not self.stopped.is_set():
            self._play_attempt()

    def wait_for_successes(self, count: int, timeout: float = 60.0) -> None:
        """Wait until so many more requests have succeeded.

        Raises:
            TimeoutError: when that takes too long.
        """
        target = len(self.outcomes) - len(self.failed()) + count
        deadline = time.monotonic() + timeout
        while len(self.outcomes) - len(self.failed()) < target:
            if time.monotonic() > deadline:
                raise TimeoutError(f"too few requests succeed: {self.counts()}")
            time.sleep(0.02)

    def _play_attempt(self) -> None:
        listed = self._send(READS, "GET", "/api/v1/quizzes")
        if listed is None:
            time.sleep(0.02)
            return
        quiz = listed["quizzes"][0]["id"]
        opened = self._send(READS, "GET", f"/api/v1/quizzes/{quiz}")
        started = self._send(STARTS, "POST", f"/api/v1/quizzes/{quiz}/attempts", {})
        if opened is None or started is None:
            return
        attempt = f"/api/v1/attempts/{started['token']}"
        for question in opened["questions"][:3]:
            self._send(ANSWERS, "PUT", f"{attempt}/answers/{question['item']}", {"choices": [0]})
        self._send(READS, "GET", attempt)
        self._send(READS, "GET", f"/api/v1/quizzes/{quiz}/leaderboard")

    def _send(self, kind: str, method: str, path: str, body: object | None = None) -> Any:
        """Send a request and record its outcome; return the response's JSON, or None when it did not succeed."""
        started_at = time.monotonic()
        response: HttpResponse | None = None
        try:
            response = send_request(self._host, self._port, method, path, body)
            result: int | str = response.status
        except (OSError, HTTPException) as error:
            result = type(error).__name__
        now = time.monotonic()
        retry_after = response.headers.get("retry-after") if response is not None else None
        self.outcomes.append(RequestOutcome(kind, result, now - started_at, retry_after, now))
        return response.json() if response is not None and response.status in OK_STATUSES else None


@contextmanager
def storm(address: str, clients: int = 6) -> Iterator[Storm]:
    """Let clients play while the block runs; it begins when enough requests have succeeded."""
    running = Storm(address)
    threads = [threading.Thread(target=running.play) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        running.wait_for_successes(MIN_SUCCESSES)
        yield running
    finally:
        running.stopped.set()
        for thread in threads:
            thread.join()
