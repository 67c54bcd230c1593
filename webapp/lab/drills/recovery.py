"""What a load went through before, during and after a fault, and the bounds that it is held against. Pure.

All moments are seconds on the monotonic clock, until they are shown: then they count from the load's begin.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

BIN_WIDTH = 0.1
"""Seconds of one point of a time line."""
RATE_WINDOW_BINS = 5
"""Bins over which a rate is taken: one bin alone says little."""
FULL_RATE_SHARE = 0.8
"""The share of the rate before the fault that counts as all of it; the rest is noise."""
UNFINISHED = "no end"
"""The error of what had not ended when the load was over."""


@dataclass(frozen=True)
class UnitSample:
    """One unit of work or request: when it was meant to begin, when it ended, and its error ("" when all was well)."""

    intended_start: float
    ended_at: float
    error: str = ""

    @property
    def seconds(self) -> float:
        """How long whoever wanted it had to wait."""
        return self.ended_at - self.intended_start


@dataclass(frozen=True)
class Check:
    """A bound of a drill, what was found, and whether that is within it."""

    bound: str
    observed: str
    passed: bool


@dataclass(frozen=True)
class LoadHistory:
    """A load, and the fault that it met; `fault` and `over` are its begin and its end."""

    samples: tuple[UnitSample, ...]
    started_at: float
    ended_at: float
    fault_started_at: float
    fault_ended_at: float
    markers: tuple[tuple[float, str], ...] = ()

    def failed(self, since: float = -math.inf, until: float = math.inf) -> list[UnitSample]:
        """Return what ended in an error between two moments."""
        return [one for one in self.samples if one.error and since <= one.ended_at < until]

    def errors(self) -> dict[str, int]:
        """Count the errors by their kind, the most frequent first."""
        return dict(Counter(one.error for one in self.samples if one.error).most_common())

    def longest_wait(self) -> float:
        """Return how long the slowest took, in seconds."""
        return max((one.seconds for one in self.samples), default=0.0)

    def time_to_first_success(self) -> float | None:
        """Return after how many seconds from the fault's end something succeeded; None: nothing did."""
        # What was under way when the fault came is no sign of recovery.
        begun = [
            one
            for one in self.samples
            if one.intended_start >= self.fault_started_at and one.ended_at >= self.fault_ended_at
        ]
        after = [one.ended_at for one in begun if not one.error]
        return min(after) - self.fault_ended_at if after else None

    def time_to_full_rate(self) -> float | None:
        """Return after how many seconds from the fault's end as much succeeded as before it; None: never again."""
        usual, rates = self.usual_rate(), self._successes_after_fault()
        for number in range(len(rates) - RATE_WINDOW_BINS + 1):
            if sum(rates[number : number + RATE_WINDOW_BINS]) >= FULL_RATE_SHARE * usual * BIN_WIDTH * RATE_WINDOW_BINS:
                return number * BIN_WIDTH
        return None

    def usual_rate(self) -> float:
        """Return successes a second before the fault."""
        before = [one.ended_at for one in self.samples if not one.error and one.ended_at < self.fault_started_at]
        # From the first one on: what it takes to connect is not what is usual.
        return len(before) / max(self.fault_started_at - min(before, default=self.started_at), BIN_WIDTH)

    def longest_gap(self) -> float:
        """Return the longest time from the fault on in which nothing succeeded, in seconds."""
        moments = sorted(
            one.ended_at for one in self.samples if not one.error and one.ended_at >= self.fault_started_at
        )
        edges = [self.fault_started_at, *moments, self.ended_at]
        return max(late - early for early, late in pairwise(edges))

    def bins(self) -> list[tuple[float, int, int]]:
        """Return for every 100 ms its begin from the load's on, successes and errors."""
        good, bad = (
            self._count_per_bin(errors=errors, since=self.started_at, until=self.ended_at) for errors in (False, True)
        )
        return [(round(number * BIN_WIDTH, 1), *counts) for number, counts in enumerate(zip(good, bad, strict=True))]

    def slowest_per_bin(self) -> list[tuple[float, float]]:
        """Return for every 100 ms how long the slowest that ended in it took, in seconds; 0 where nothing ended."""
        found = [0.0] * _whole_bins(self.ended_at - self.started_at)
        for one in self.samples:
            number = int((one.ended_at - self.started_at) / BIN_WIDTH)
            if number < len(found):
                found[number] = max(found[number], one.seconds)
        return [(round(number * BIN_WIDTH, 1), seconds) for number, seconds in enumerate(found)]

    def _successes_after_fault(self) -> list[int]:
        return self._count_per_bin(errors=False, since=self.fault_ended_at, until=self.ended_at)

    def _count_per_bin(self, *, errors: bool, since: float, until: float) -> list[int]:
        counts = [0] * _whole_bins(until - since)
        for one in self.samples:
            number = math.floor((one.ended_at - since) / BIN_WIDTH)
            if bool(one.error) == errors and 0 <= number < len(counts):
                counts[number] += 1
        return counts


def _whole_bins(seconds: float) -> int:
    """Return how many whole ones there are: a part of one would look like a loss."""
    return max(0, int(seconds / BIN_WIDTH))


def no_errors(history: LoadHistory) -> Check:
    """Nobody may notice."""
    return errors_at_most(history, 0, "nothing fails")


def errors_at_most(history: LoadHistory, limit: int, bound: str = "") -> Check:
    """So many may fail."""
    found = len(history.failed())
    said = f"{found} of {len(history.samples)} failed{format_error_counts(history.errors())}"
    return Check(bound or f"at most {limit} fail", said, found <= limit)


def errors_end_within(history: LoadHistory, seconds: float) -> Check:
    """What fails so long after the fault's end has no excuse any more."""
    late = history.failed(since=history.fault_ended_at + seconds)
    bound = f"nothing fails later than {seconds:g} s after the fault"
    last = max((one.ended_at - history.fault_ended_at for one in late), default=0.0)
    return Check(bound, f"{len(late)} did, the last after {last:.1f} s" if late else "nothing did", not late)


def wait_at_most(history: LoadHistory, seconds: float) -> Check:
    """An error in time is better than an answer to somebody who has gone."""
    longest = history.longest_wait()
    return Check(f"nobody waits longer than {seconds:g} s", f"the longest waited {longest:.2f} s", longest <= seconds)


def full_rate_within(history: LoadHistory, seconds: float) -> Check:
    """After the fault it must be as before."""
    found = history.time_to_full_rate()
    said = "never again" if found is None else f"after {found:.1f} s"
    return Check(f"full rate within {seconds:g} s of the fault's end", said, found is not None and found <= seconds)


def gap_at_most(history: LoadHistory, seconds: float) -> Check:
    """Somebody is served all the time."""
    found = history.longest_gap()
    return Check(f"never {seconds:g} s without a success", f"{found:.2f} s at most", found < seconds)


def format_error_counts(errors: dict[str, int]) -> str:
    """Return counts of errors as words in brackets, or nothing."""
    return f" ({', '.join(f'{count} × {name}' for name, count in errors.items())})" if errors else ""
