"""Percentiles of durations."""

from __future__ import annotations

from poolproof.lab.reporting.latency import percentile, summarize_latency


def test_percentiles_are_those_of_the_sorted_durations() -> None:
    latency = summarize_latency([number / 100 for number in range(100, 0, -1)])
    assert (latency.count, latency.p50, latency.p95, latency.p99, latency.worst) == (100, 0.51, 0.96, 1.0, 1.0)
    assert summarize_latency([]).worst == 0


def test_no_figures_have_a_percentile_of_nothing() -> None:
    assert percentile([], 0.99) == 0
    assert percentile([1, 2, 3, 4], 0.5) == 3
