"""Counters as plain trees and back, so that those of several processes can be written down and added up."""

from __future__ import annotations

from math import floor
from typing import Any

from webapp.pooling.statistics import BUCKET_COUNT, Histogram, StatisticsSnapshot

PARTS_PER_SECOND = 2**20


def histogram_to_dict(histogram: Histogram) -> dict[str, Any]:
    """Return a histogram as a tree, without the empty buckets at its end."""
    counts = list(histogram.counts)
    while counts and counts[-1] == 0:
        counts.pop()
    # In whole parts of 2^-20 s: these are added without any rounding, so that the sum over a fleet does not depend on
    # the order, and never shrinks by a last digit (which a reader of metrics takes for a counter that began anew).
    return {"counts": counts, "total": floor(histogram.total * PARTS_PER_SECOND) / PARTS_PER_SECOND}


def histogram_from_dict(tree: dict[str, Any] | None) -> Histogram:
    """Return the histogram of such a tree; an empty one for none."""
    if not tree:
        return Histogram()
    counts = tree["counts"]
    return Histogram([*counts, *[0] * (BUCKET_COUNT - len(counts))], tree["total"])


def snapshot_to_dict(snapshot: StatisticsSnapshot) -> dict[str, Any]:
    """Return a pool's counters as a tree."""
    return {
        "borrows": snapshot.checkouts,
        "waits": histogram_to_dict(snapshot.wait_time),
        "uses": histogram_to_dict(snapshot.use_time),
        "creates": histogram_to_dict(snapshot.create_time),
        "timeouts": snapshot.timeouts,
        "shed": snapshot.shed,
        "refused": snapshot.refused,
        "closed": dict(snapshot.closed),
    }


def snapshot_from_dict(tree: dict[str, Any]) -> StatisticsSnapshot:
    """Return the counters of such a tree."""
    return StatisticsSnapshot(
        tree["borrows"],
        histogram_from_dict(tree["waits"]),
        histogram_from_dict(tree["uses"]),
        histogram_from_dict(tree["creates"]),
        timeouts=tree["timeouts"],
        shed=tree["shed"],
        refused=tree["refused"],
        closed=dict(tree["closed"]),
    )
