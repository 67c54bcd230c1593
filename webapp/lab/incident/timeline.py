"""A push second by second: who waits, what has failed, what comes through. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from webapp.lab.loadgen.player import CUT_OFF, RequestSample
from webapp.lab.push.push_report import OK_RESULTS

SAMPLE_INTERVAL = 0.25
RATE_WINDOW = 1.0
"""Seconds: between two moments, and over which the throughput of one is counted."""
ERROR_LABELS = {
    "500": "500, an error of the service",
    "503": "503, told to come again",
    "429": "429, told to be slower",
    "TimeoutError": "no answer within a minute",
    "InvalidResponseError": "hung up",
    "ConnectionResetError": "connection reset",
    "ConnectionRefusedError": "connection refused",
    CUT_OFF: "still waiting at the end",
}


@dataclass(frozen=True)
class TimelinePoint:
    """What was so at `at` seconds after the push began."""

    at: float
    waiting: int
    """Requests that have been sent and not answered."""
    errors: Mapping[str, int]
    """By kind, from the beginning until now."""
    response_rate: float
    """Requests that were answered well, in the last second."""
    connections: int | None
    """Of the service, on the database server; None when nobody has looked yet."""

    @property
    def error_count(self) -> int:
        """All errors until now."""
        return sum(self.errors.values())


def error_kind(sample: RequestSample) -> str | None:
    """Return what kind of error a try has ended in, in words, or None."""
    return None if sample.result in OK_RESULTS else ERROR_LABELS.get(sample.result, sample.result)


def build_timeline(
    samples: Sequence[RequestSample], connection_counts: Sequence[tuple[float, int]], until: float
) -> list[TimelinePoint]:
    """Return what was so, four times a second from 0 to `until`; `looks` are (when, connections on the server)."""
    began = sorted(one.sent_at for one in samples)
    ended = sorted(one.ended_at for one in samples)
    well = sorted(one.ended_at for one in samples if error_kind(one) is None)
    errors: dict[str, list[float]] = {}
    for one in sorted(samples, key=lambda one: one.ended_at):
        if (kind := error_kind(one)) is not None:
            errors.setdefault(kind, []).append(one.ended_at)
    looked = [when for when, _ in connection_counts]

    def at(now: float) -> TimelinePoint:
        last = bisect_right(looked, now) - 1
        return TimelinePoint(
            at=now,
            waiting=bisect_right(began, now) - bisect_right(ended, now),
            errors={kind: bisect_right(times, now) for kind, times in errors.items()},
            response_rate=(bisect_right(well, now) - bisect_right(well, now - RATE_WINDOW)) / RATE_WINDOW,
            connections=connection_counts[last][1] if last >= 0 else None,
        )

    return [at(number * SAMPLE_INTERVAL) for number in range(int(until / SAMPLE_INTERVAL) + 2)]


def errors_by_kind(samples: Iterable[RequestSample]) -> dict[str, int]:
    """Return how many tries ended in which error, the most frequent first."""
    return dict(Counter(kind for one in samples if (kind := error_kind(one)) is not None).most_common())
