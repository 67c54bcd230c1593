"""Clients that play without a pause, each request on a connection of its own, and note how each one ended."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

READS, ANSWERS, STARTS = "read", "answer", "start"
"""Reads, and answers (with finishes), may be repeated; starts make something new each time."""
MIN_SUCCESSES = 50
"""Requests that have ended well before the block of `storm` begins."""


@dataclass(frozen=True)
class RequestOutcome:
    """How one request ended: its status, or the name of the error that the client saw."""

    kind: str
    result: int | str
    seconds: float
    retry_after: str | None
    ended_at: float


@dataclass
class Storm:
    """All outcomes so far."""

    address: str
    outcomes: list[RequestOutcome] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def counts(self, *kinds: str) -> Counter[int | str]:
        """Count the ends of requests of these kinds."""
        return Counter(one.result for one in list(self.outcomes) if not kinds or one.kind in kinds)

    def failed(self, *kinds: str) -> list[RequestOutcome]:
        """Return what did not end well."""
        return [one for one in self.outcomes if one.result not in {200, 201} and (not kinds or one.kind in kinds)]

    def play(self) -> None:
        """Be one player after the other until told to stop."""
        while not self.stopped.is_set():
            self._play_attempt()

    def wait_for_successes(self, count: int, timeout: float = 60.0) -> None:
        """Wait until so many more requests have ended well.

        Raises:
            TimeoutError: when that takes too long.
        """
        target = len(self.outcomes) - len(self.failed()) + count
        deadline = time.monotonic() + timeout
        while len(self.outcomes) - len(self.failed()) < target:
            if time.monotonic() > deadline:
                raise TimeoutError(f"too few requests end well: {self.counts()}")
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
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=30)
        content = None if body is None else json.dumps(body)
        headers = {"Connection": "close", **({"Content-Type": "application/json"} if content else {})}
        began, retry_after, answer = time.monotonic(), None, b""
        ended: int | str
        try:
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            answer, ended, retry_after = response.read(), response.status, response.getheader("Retry-After")
        except OSError as error:
            ended = type(error).__name__
        except http.client.HTTPException as error:
            ended = type(error).__name__
        finally:
            connection.close()
        now = time.monotonic()
        self.outcomes.append(RequestOutcome(kind, ended, now - began, retry_after, now))
        return json.loads(answer) if ended in {200, 201} else None


@contextmanager
def storm(address: str, clients: int = 6) -> Iterator[Storm]:
    """Let clients play while the block runs."""
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
