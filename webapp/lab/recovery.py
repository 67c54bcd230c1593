"""What a load went through before, during and after a fault, and the bounds that it is held against. Pure.

All moments are seconds on the monotonic clock, until they are shown: then they count from the load's begin.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

BIN = 0.1
"""Seconds of one point of a time line."""
WINDOW = 5
"""Bins over which a rate is taken: one bin alone says little."""
FULL = 0.8
"""The share of the rate before the fault that counts as all of it; the rest is noise."""
NO_END = "no end"
"""The error of what had not ended when the load was over."""


@dataclass(frozen=True)
class Sample:
    """One unit of work or request: when it was meant to begin, when it ended, and its error ("" when all was well)."""

    meant: float
    ended: float
    error: str = ""

    @property
    def seconds(self) -> float:
        """How long whoever wanted it had to wait."""
        return self.ended - self.meant


@dataclass(frozen=True)
class Check:
    """A bound of a drill, what was found, and whether that is within it."""

    bound: str
    found: str
    holds: bool


@dataclass(frozen=True)
class Course:
    """A load, and the fault that it met; `fault` and `over` are its begin and its end."""

    samples: tuple[Sample, ...]
    began: float
    ended: float
    fault: float
    over: float
    marks: tuple[tuple[float, str], ...] = ()

    def failed(self, since: float = -math.inf, until: float = math.inf) -> list[Sample]:
        """Return what ended in an error between two moments."""
        return [one for one in self.samples if one.error and since <= one.ended < until]

    def errors(self) -> dict[str, int]:
        """Count the errors by their kind, the most frequent first."""
        return dict(Counter(one.error for one in self.samples if one.error).most_common())

    def longest(self) -> float:
        """Return how long the slowest took, in seconds."""
        return max((one.seconds for one in self.samples), default=0.0)

    def first_success(self) -> float | None:
        """Return after how many seconds from the fault's end something succeeded; None: nothing did."""
        # What was under way when the fault came is no sign of recovery.
        begun = [one for one in self.samples if one.meant >= self.fault and one.ended >= self.over]
        after = [one.ended for one in begun if not one.error]
        return min(after) - self.over if after else None

    def full_rate(self) -> float | None:
        """Return after how many seconds from the fault's end as much succeeded as before it; None: never again."""
        usual, rates = self.usual_rate(), self._after()
        for number in range(len(rates) - WINDOW + 1):
            if sum(rates[number : number + WINDOW]) >= FULL * usual * BIN * WINDOW:
                return number * BIN
        return None

    def usual_rate(self) -> float:
        """Return successes a second before the fault."""
        before = [one.ended for one in self.samples if not one.error and one.ended < self.fault]
        # From the first one on: what it takes to connect is not what is usual.
        return len(before) / max(self.fault - min(before, default=self.began), BIN)

    def longest_silence(self) -> float:
        """Return the longest time from the fault on in which nothing succeeded, in seconds."""
        moments = sorted(one.ended for one in self.samples if not one.error and one.ended >= self.fault)
        edges = [self.fault, *moments, self.ended]
        return max(late - early for early, late in pairwise(edges))

    def bins(self) -> list[tuple[float, int, int]]:
        """Return for every 100 ms its begin from the load's on, successes and errors."""
        good, bad = (self._count(errors=errors, since=self.began, until=self.ended) for errors in (False, True))
        return [(round(number * BIN, 1), *counts) for number, counts in enumerate(zip(good, bad, strict=True))]

    def slowest(self) -> list[tuple[float, float]]:
        """Return for every 100 ms how long the slowest that ended in it took, in seconds; 0 where nothing ended."""
        found = [0.0] * _bins(self.ended - self.began)
        for one in self.samples:
            number = int((one.ended - self.began) / BIN)
            if number < len(found):
                found[number] = max(found[number], one.seconds)
        return [(round(number * BIN, 1), seconds) for number, seconds in enumerate(found)]

    def _after(self) -> list[int]:
        return self._count(errors=False, since=self.over, until=self.ended)

    def _count(self, *, errors: bool, since: float, until: float) -> list[int]:
        counts = [0] * _bins(until - since)
        for one in self.samples:
            number = math.floor((one.ended - since) / BIN)
            if bool(one.error) == errors and 0 <= number < len(counts):
                counts[number] += 1
        return counts


def _bins(seconds: float) -> int:
    """Return how many whole ones there are: a part of one would look like a loss."""
    return max(0, int(seconds / BIN))


def no_errors(course: Course) -> Check:
    """Nobody may notice."""
    return errors_at_most(course, 0, "nothing fails")


def errors_at_most(course: Course, most: int, bound: str = "") -> Check:
    """So many may fail."""
    found = len(course.failed())
    said = f"{found} of {len(course.samples)} failed{listed(course.errors())}"
    return Check(bound or f"at most {most} fail", said, found <= most)


def errors_end_within(course: Course, seconds: float) -> Check:
    """What fails so long after the fault's end has no excuse any more."""
    late = course.failed(since=course.over + seconds)
    bound = f"nothing fails later than {seconds:g} s after the fault"
    last = max((one.ended - course.over for one in late), default=0.0)
    return Check(bound, f"{len(late)} did, the last after {last:.1f} s" if late else "nothing did", not late)


def nobody_waits_longer(course: Course, seconds: float) -> Check:
    """An error in time is better than an answer to somebody who has gone."""
    longest = course.longest()
    return Check(f"nobody waits longer than {seconds:g} s", f"the longest waited {longest:.2f} s", longest <= seconds)


def full_rate_within(course: Course, seconds: float) -> Check:
    """After the fault it must be as before."""
    found = course.full_rate()
    said = "never again" if found is None else f"after {found:.1f} s"
    return Check(f"full rate within {seconds:g} s of the fault's end", said, found is not None and found <= seconds)


def silence_at_most(course: Course, seconds: float) -> Check:
    """Somebody is served all the time."""
    found = course.longest_silence()
    return Check(f"never {seconds:g} s without a success", f"{found:.2f} s at most", found < seconds)


def listed(errors: dict[str, int]) -> str:
    """Return counts of errors as words in brackets, or nothing."""
    return f" ({', '.join(f'{count} × {name}' for name, count in errors.items())})" if errors else ""
