"""The history of a load before, during and after a fault, and checks of it against bounds. Pure.

All moments are seconds on the monotonic clock; those that are shown count from the start of the load.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

BIN_WIDTH = 0.1
"""Seconds of one bin of a timeline."""
RATE_WINDOW_BINS = 5
"""Bins over which a rate is averaged: that of a single bin varies too much."""
FULL_RATE_SHARE = 0.8
"""Share of the rate before the fault that counts as full; the difference is noise."""
UNFINISHED = "no end"
"""The error of units that had not ended when the load was stopped."""


@dataclass(frozen=True)
class UnitSample:
    """One unit of work or request: when it was meant to begin, when it ended, and its error, "" when it succeeded."""

    intended_start: float
    ended_at: float
    error: str = ""

    @property
    def seconds(self) -> float:
        """Seconds from the intended start to the end."""
        return self.ended_at - self.intended_start


@dataclass(frozen=True)
class Check:
    """A bound of a drill, what was observed, and whether that is within the bound."""

    bound: str
    observed: str
    passed: bool


@dataclass(frozen=True)
class LoadHistory:
    """The samples of a load, and when the fault began and ended."""

    samples: tuple[UnitSample, ...]
    started_at: float
    ended_at: float
    fault_started_at: float
    fault_ended_at: float
    markers: tuple[tuple[float, str], ...] = ()

    def failed(self, since: float = -math.inf, until: float = math.inf) -> list[UnitSample]:
        """Return the units that ended in an error between two moments."""
        return [sample for sample in self.samples if sample.error and since <= sample.ended_at < until]

    def errors(self) -> dict[str, int]:
        """Count the errors by their kind, the most frequent first."""
        return dict(Counter(sample.error for sample in self.samples if sample.error).most_common())

    def longest_wait(self) -> float:
        """Return how long the slowest unit took, in seconds."""
        return max((sample.seconds for sample in self.samples), default=0.0)

    def time_to_first_success(self) -> float | None:
        """Return how many seconds after the end of the fault a unit succeeded; None: never."""
        # A unit that was under way when the fault began is no sign of recovery.
        candidates = [
            sample
            for sample in self.samples
            if sample.intended_start >= self.fault_started_at and sample.ended_at >= self.fault_ended_at
        ]
        successes = [sample.ended_at for sample in candidates if not sample.error]
        return min(successes) - self.fault_ended_at if successes else None

    def time_to_full_rate(self) -> float | None:
        """Return how many seconds after the end of the fault the success rate was full again; None: never."""
        usual, rates = self.usual_rate(), self._successes_after_fault()
        for number in range(len(rates) - RATE_WINDOW_BINS + 1):
            if sum(rates[number : number + RATE_WINDOW_BINS]) >= FULL_RATE_SHARE * usual * BIN_WIDTH * RATE_WINDOW_BINS:
                return number * BIN_WIDTH
        return None

    def usual_rate(self) -> float:
        """Return the successes a second before the fault."""
        successes = [
            sample.ended_at for sample in self.samples if not sample.error and sample.ended_at < self.fault_started_at
        ]
        # Counted from the first success: the time to connect first is not part of the usual rate.
        return len(successes) / max(self.fault_started_at - min(successes, default=self.started_at), BIN_WIDTH)

    def longest_gap(self) -> float:
        """Return the longest time without a success since the fault began, in seconds."""
        successes = sorted(
            sample.ended_at for sample in self.samples if not sample.error and sample.ended_at >= self.fault_started_at
        )
        edges = [self.fault_started_at, *successes, self.ended_at]
        return max(later - earlier for earlier, later in pairwise(edges))

    def bins(self) -> list[tuple[float, int, int]]:
        """Return for every 100 ms its start (seconds since the start of the load), successes and errors."""
        successes, failures = (
            self._count_per_bin(errors=errors, since=self.started_at, until=self.ended_at) for errors in (False, True)
        )
        return [
            (round(number * BIN_WIDTH, 1), *counts)
            for number, counts in enumerate(zip(successes, failures, strict=True))
        ]

    def slowest_per_bin(self) -> list[tuple[float, float]]:
        """Return for every 100 ms its start and the seconds of the slowest unit that ended in it, or 0."""
        slowest = [0.0] * _whole_bins(self.ended_at - self.started_at)
        for sample in self.samples:
            number = int((sample.ended_at - self.started_at) / BIN_WIDTH)
            if number < len(slowest):
                slowest[number] = max(slowest[number], sample.seconds)
        return [(round(number * BIN_WIDTH, 1), seconds) for number, seconds in enumerate(slowest)]

    def _successes_after_fault(self) -> list[int]:
        return self._count_per_bin(errors=False, since=self.fault_ended_at, until=self.ended_at)

    def _count_per_bin(self, *, errors: bool, since: float, until: float) -> list[int]:
        counts = [0] * _whole_bins(until - since)
        for sample in self.samples:
            number = math.floor((sample.ended_at - since) / BIN_WIDTH)
            if bool(sample.error) == errors and 0 <= number < len(counts):
                counts[number] += 1
        return counts


def _whole_bins(seconds: float) -> int:
    """Return the number of complete bins: an incomplete one would look like a lower rate."""
    return max(0, int(seconds / BIN_WIDTH))


def no_errors(history: LoadHistory) -> Check:
    """Check that no unit fails."""
    return errors_at_most(history, 0, "nothing fails")


def errors_at_most(history: LoadHistory, limit: int, bound: str = "") -> Check:
    """Check that at most so many units fail."""
    failed = len(history.failed())
    observed = f"{failed} of {len(history.samples)} failed{format_error_counts(history.errors())}"
    return Check(bound or f"at most {limit} fail", observed, failed <= limit)


def errors_end_within(history: LoadHistory, seconds: float) -> Check:
    """Check that no unit fails later than so many seconds after the end of the fault."""
    late = history.failed(since=history.fault_ended_at + seconds)
    bound = f"nothing fails later than {seconds:g} s after the fault"
    last = max((one.ended_at - history.fault_ended_at for one in late), default=0.0)
    return Check(bound, f"{len(late)} did, the last after {last:.1f} s" if late else "nothing did", not late)


def wait_at_most(history: LoadHistory, seconds: float) -> Check:
    """Check that each unit ends in time, with success or with an error."""
    longest = history.longest_wait()
    return Check(f"no unit takes longer than {seconds:g} s", f"the slowest took {longest:.2f} s", longest <= seconds)


def full_rate_within(history: LoadHistory, seconds: float) -> Check:
    """Check that the rate is full again in time."""
    recovered_after = history.time_to_full_rate()
    observed = "never again" if recovered_after is None else f"after {recovered_after:.1f} s"
    return Check(
        f"full rate within {seconds:g} s of the fault's end",
        observed,
        recovered_after is not None and recovered_after <= seconds,
    )


def gap_at_most(history: LoadHistory, seconds: float) -> Check:
    """Check that there is never so long a time without a success."""
    longest = history.longest_gap()
    return Check(f"never {seconds:g} s without a success", f"{longest:.2f} s at most", longest < seconds)


def format_error_counts(errors: dict[str, int]) -> str:
    """Return counts of errors in brackets, or an empty text."""
    return f" ({', '.join(f'{count} × {name}' for name, count in errors.items())})" if errors else ""
