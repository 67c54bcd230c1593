"""Percentiles of durations. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Latency:
    """Percentiles of durations, in seconds."""

    count: int
    p50: float
    p95: float
    p99: float
    worst: float


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which this share of the sorted values lies; 0 when there are none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def summarize_latency(seconds: Sequence[float]) -> Latency:
    """Return the percentiles of these durations; all 0 when there are none."""
    ordered = sorted(seconds)
    p50, p95, p99 = (percentile(ordered, share) for share in (0.5, 0.95, 0.99))
    return Latency(len(ordered), p50, p95, p99, ordered[-1] if ordered else 0.0)
