"""Counters as plain trees and back, so that those of several processes can be written down and added up."""

from __future__ import annotations

from math import floor
from typing import Any

from webapp.pooling.statistics import BUCKETS, Histogram, Snapshot

PARTS = 2**20


def of_histogram(histogram: Histogram) -> dict[str, Any]:
    """Return a histogram as a tree, without the empty buckets at its end."""
    counts = list(histogram.counts)
    while counts and counts[-1] == 0:
        counts.pop()
    # In whole parts of 2^-20 s: these are added without any rounding, so that the sum over a fleet does not depend on
    # the order, and never shrinks by a last digit (which a reader of metrics takes for a counter that began anew).
    return {"counts": counts, "total": floor(histogram.total * PARTS) / PARTS}


def histogram(tree: dict[str, Any] | None) -> Histogram:
    """Return the histogram of such a tree; an empty one for none."""
    if not tree:
        return Histogram()
    counts = tree["counts"]
    return Histogram([*counts, *[0] * (BUCKETS - len(counts))], tree["total"])


def of_snapshot(counted: Snapshot) -> dict[str, Any]:
    """Return a pool's counters as a tree."""
    return {
        "borrows": counted.borrows,
        "waits": of_histogram(counted.waits),
        "uses": of_histogram(counted.uses),
        "creates": of_histogram(counted.creates),
        "timeouts": counted.timeouts,
        "shed": counted.shed,
        "refused": counted.refused,
        "closed": dict(counted.closed),
    }


def snapshot(tree: dict[str, Any]) -> Snapshot:
    """Return the counters of such a tree."""
    return Snapshot(
        tree["borrows"],
        histogram(tree["waits"]),
        histogram(tree["uses"]),
        histogram(tree["creates"]),
        timeouts=tree["timeouts"],
        shed=tree["shed"],
        refused=tree["refused"],
        closed=dict(tree["closed"]),
    )
