"""Ordinary players beside something else: new visitors arrive all the time, and play on connections of their own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from poolproof.lab.loadgen.load_profile import LoadProfile, TimedOperation
from poolproof.lab.reporting.latency import Latency, summarize_latency
from webapp.lab.loadgen.load_generator import VisitLoad, VisitProcesses
from webapp.lab.loadgen.player import PushPlan
from webapp.lab.push.quiz_discovery import find_open_quiz
from webapp.lab.services.processes import HOST

WARM_UP = 1.0
"""Seconds that are not counted."""
START_DELAY = 0.2


@dataclass(frozen=True)
class Played:
    """How requests went: their latencies in seconds, from the intended start, and how many did not succeed."""

    latency: Latency
    failed: int


class OrdinaryPlayers:
    """Visits at random moments, at a rate of their own, from a process of its own; without retries."""

    def __init__(self, port: int, visits_per_second: float) -> None:
        """Start the process, for the first open quiz of the service on this port."""
        self._quiz = find_open_quiz(HOST, port, None)
        self._port = port
        self._processes = VisitProcesses(1)
        self._rate = visits_per_second

    def play(self, seconds: float, seed: int) -> Played:
        """Let players visit for so many seconds, after a warm-up, and return how it went."""
        starts_at = time.monotonic() + START_DELAY
        plan = PushPlan(HOST, self._port, *self._quiz, starts_at, 0.0, 0.0, retry=False)
        profile = LoadProfile(WARM_UP, seconds, self._rate, seed)
        (running,) = self._processes.start(VisitLoad(plan, profile, 0, self._rate))
        operations, _ = running.result()
        return played([operation for operation in operations if operation.intended_start >= starts_at + WARM_UP])

    def close(self) -> None:
        """End the process."""
        self._processes.close()


def played(operations: Sequence[TimedOperation]) -> Played:
    """Return how operations went."""
    return Played(
        summarize_latency([operation.seconds for operation in operations]),
        sum(not operation.succeeded for operation in operations),
    )
