"""The course of a push: requests waiting, errors so far, responses in a second, connections. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from webapp.lab.loadgen.player import CUT_OFF, OK_RESULTS, RequestSample

SAMPLE_INTERVAL = 0.25
RATE_WINDOW = 1.0
"""Seconds between two points, and seconds over which a point's rate is counted."""
ERROR_LABELS = {
    "500": "500, an error of the service",
    "503": "503, told to try again later",
    "429": "429, told to send fewer requests",
    "TimeoutError": "no response within a minute",
    "InvalidResponseError": "hung up",
    "ConnectionResetError": "connection reset",
    "ConnectionRefusedError": "connection refused",
    CUT_OFF: "still waiting at the end",
}


@dataclass(frozen=True)
class TimelinePoint:
    """The state `at` seconds after the push began."""

    at: float
    waiting: int
    """Requests that have been sent and have no response yet."""
    errors: Mapping[str, int]
    """By kind, from the beginning of the push."""
    response_rate: float
    """Requests that succeeded in the last second."""
    connections: int | None
    """Of the service, on the database server; None before the first sample."""

    @property
    def error_count(self) -> int:
        """All errors so far."""
        return sum(self.errors.values())


def error_kind(sample: RequestSample) -> str | None:
    """Return the kind of error in which a try ended, in words; None when it succeeded."""
    return None if sample.result in OK_RESULTS else ERROR_LABELS.get(sample.result, sample.result)


def build_timeline(
    samples: Sequence[RequestSample], connection_counts: Sequence[tuple[float, int]], until: float
) -> list[TimelinePoint]:
    """Return four points a second from 0 to `until`; `connection_counts` are (seconds, connections on the server)."""
    sent = sorted(sample.sent_at for sample in samples)
    ended = sorted(sample.ended_at for sample in samples)
    succeeded = sorted(sample.ended_at for sample in samples if error_kind(sample) is None)
    errors: dict[str, list[float]] = {}
    for sample in sorted(samples, key=lambda sample: sample.ended_at):
        if (kind := error_kind(sample)) is not None:
            errors.setdefault(kind, []).append(sample.ended_at)
    counted_at = [seconds for seconds, _ in connection_counts]

    def point(now: float) -> TimelinePoint:
        last = bisect_right(counted_at, now) - 1
        return TimelinePoint(
            at=now,
            waiting=bisect_right(sent, now) - bisect_right(ended, now),
            errors={kind: bisect_right(times, now) for kind, times in errors.items()},
            response_rate=(bisect_right(succeeded, now) - bisect_right(succeeded, now - RATE_WINDOW)) / RATE_WINDOW,
            connections=connection_counts[last][1] if last >= 0 else None,
        )

    return [point(number * SAMPLE_INTERVAL) for number in range(int(until / SAMPLE_INTERVAL) + 2)]


def errors_by_kind(samples: Iterable[RequestSample]) -> dict[str, int]:
    """Return how many tries ended in which error, the most frequent first."""
    return dict(Counter(kind for sample in samples if (kind := error_kind(sample)) is not None).most_common())
