"""A push second by second: who waits, what has failed, what comes through. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from webapp.lab.push import CUT_OFF, Sample
from webapp.lab.report import WELL_ENDED

EVERY = 0.25
WINDOW = 1.0
"""Seconds: between two moments, and over which the throughput of one is counted."""
WORDS = {
    "500": "500, an error of the service",
    "503": "503, told to come again",
    "429": "429, told to be slower",
    "TimeoutError": "no answer within a minute",
    "BrokenAnswerError": "hung up",
    "ConnectionResetError": "connection reset",
    "ConnectionRefusedError": "connection refused",
    CUT_OFF: "still waiting at the end",
}


@dataclass(frozen=True)
class Moment:
    """What was so at `at` seconds after the push began."""

    at: float
    waiting: int
    """Requests that have been sent and not answered."""
    errors: Mapping[str, int]
    """By kind, from the beginning until now."""
    a_second: float
    """Requests that were answered well, in the last second."""
    connections: int | None
    """Of the service, on the database server; None when nobody has looked yet."""

    @property
    def failed(self) -> int:
        """All errors until now."""
        return sum(self.errors.values())


def kind_of(sample: Sample) -> str | None:
    """Return what kind of error a try has ended in, in words, or None."""
    return None if sample.ended in WELL_ENDED else WORDS.get(sample.ended, sample.ended)


def moments(samples: Sequence[Sample], looks: Sequence[tuple[float, int]], until: float) -> list[Moment]:
    """Return what was so, four times a second from 0 to `until`; `looks` are (when, connections on the server)."""
    began = sorted(one.began for one in samples)
    ended = sorted(one.came_back for one in samples)
    well = sorted(one.came_back for one in samples if kind_of(one) is None)
    errors: dict[str, list[float]] = {}
    for one in sorted(samples, key=lambda one: one.came_back):
        if (kind := kind_of(one)) is not None:
            errors.setdefault(kind, []).append(one.came_back)
    looked = [when for when, _ in looks]

    def at(now: float) -> Moment:
        last = bisect_right(looked, now) - 1
        return Moment(
            at=now,
            waiting=bisect_right(began, now) - bisect_right(ended, now),
            errors={kind: bisect_right(times, now) for kind, times in errors.items()},
            a_second=(bisect_right(well, now) - bisect_right(well, now - WINDOW)) / WINDOW,
            connections=looks[last][1] if last >= 0 else None,
        )

    return [at(number * EVERY) for number in range(int(until / EVERY) + 2)]


def errors_by_kind(samples: Iterable[Sample]) -> dict[str, int]:
    """Return how many tries ended in which error, the most frequent first."""
    return dict(Counter(kind for one in samples if (kind := kind_of(one)) is not None).most_common())
