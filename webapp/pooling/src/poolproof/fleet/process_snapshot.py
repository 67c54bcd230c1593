"""What a process says of itself: its lanes, who holds, who waits, what it has counted; as a plain tree."""

from __future__ import annotations

import time
from typing import Any

from poolproof.core import stats
from poolproof.core.queue_pool import FairQueuePool
from poolproof.core.stats import RequestStatistics
from poolproof.lanes import Lane, Lanes, fair_pools
from poolproof.leaks import call_site
from poolproof.leaks.checkouts import Checkout
from poolproof.metrics import counters
from poolproof.runtime.files import JsonObject
from poolproof.transactions import group_commit

MIN_HELD_SHOWN = 0.1
"""Seconds for which a connection must have been held to be shown."""
MIN_HELD_FOR_STACK = 1.0
MAX_HOLDERS = 50
MAX_WAITERS = 50
MAX_STATEMENT_LENGTH = 500
"""Characters."""


def lane_states(lanes: Lanes) -> dict[str, JsonObject]:
    """Return the state of every lane whose pool is ours."""
    return {lane.name: _lane_state(lane, pool) for lane, pool in fair_pools(lanes)}


def lane_counters(lanes: Lanes) -> dict[str, JsonObject]:
    """Return what every lane has counted."""
    return {
        lane.name: {**stats.snapshot_to_dict(pool.statistics.snapshot()), "holds": dict(lane.leak_detector.counts)}
        for lane, pool in fair_pools(lanes)
        if pool.statistics is not None
    }


def request_counters(statistics: RequestStatistics) -> JsonObject:
    """Return how many requests there were, and how many statements these needed."""
    routes = {" ".join(map(str, route)): stats.histogram_to_dict(one) for route, one in statistics.routes().items()}
    return {"count": statistics.requests, "statements": statistics.statements, "routes": routes}


def labelled_counters() -> JsonObject:
    """What other parts of this process have counted."""
    return {one.name: dict(one.counts) for one in counters.declared_counters() if one.counts}


def commit_states() -> dict[str, JsonObject]:
    """Return how many wait for each group commit of this process."""
    return {group.name: {"waiting": group.waiting()} for group in group_commit.all_groups()}


def commit_counters() -> dict[str, JsonObject]:
    """Return how many batches of which size each group commit of this process has written, and how long that took."""
    return {
        group.name: {
            "batches": _batch_size_histogram(dict(group.batch_sizes)),
            "entries": sum(size * count for size, count in group.batch_sizes.copy().items()),
            "commits": stats.histogram_to_dict(group.commit_time),
            "refused": group.refused,
        }
        for group in group_commit.all_groups()
    }


def holders(lanes: Lanes) -> list[JsonObject]:
    """Return who holds a connection, the longest first."""
    held = [hold for lane in lanes for hold in lane.leak_detector.checkouts.live() if hold.seconds >= MIN_HELD_SHOWN]
    held.sort(key=lambda hold: hold.since)
    return [_holder(hold) for hold in held[:MAX_HOLDERS]]


def waiters(lanes: Lanes) -> list[JsonObject]:
    """Return who waits for a connection, the longest first."""
    now = time.monotonic()
    waiting = [(one, lane.name) for lane, pool in fair_pools(lanes) for one in pool.waiters()]
    waiting.sort(key=lambda pair: pair[0].since)
    return [
        {"lane": name, "name": one.owner_name(), "seconds": round(now - one.since, 3)}
        for one, name in waiting[:MAX_WAITERS]
    ]


def find_checkout(lanes: Lanes, number: int) -> Checkout | None:
    """Return the hold whose connection has this number, if it is still out."""
    return next(
        (hold for lane in lanes for hold in lane.leak_detector.checkouts.live() if connection_id(hold) == number), None
    )


def connection_id(checkout: Checkout) -> int:
    """Return the server's own number of a held connection; on SQLite, one that is unique in this process."""
    number = getattr(checkout.dbapi_connection, "thread_id", None)
    try:
        return int(number()) if number is not None else id(checkout.dbapi_connection)
    except Exception:  # noqa: BLE001 - it was closed in this moment; any number will do
        return id(checkout.dbapi_connection)


def _lane_state(lane: Lane, pool: FairQueuePool) -> JsonObject:
    most = pool.limit()
    return {
        "used": pool.checkedout(),
        "idle": pool.checkedin(),
        "size": pool.size(),
        "most": most if most != float("inf") else None,
        "waiting": pool.waiting(),
        "oldest": round(pool.oldest_wait(), 3),
        "held": round(sum(hold.seconds for hold in lane.leak_detector.checkouts.live()), 3),
        "is_slow": pool.is_overloaded(),
        "is_paused": lane.is_suspended(),
    }


def _holder(checkout: Checkout) -> JsonObject:
    now = time.monotonic()
    running = checkout.running_seconds(now)
    tree: dict[str, Any] = {
        "id": connection_id(checkout),
        "since": checkout.since,
        "lane": checkout.registry.name,
        "name": checkout.request.name or checkout.thread.name,
        "seconds": round(checkout.seconds, 3),
        "statements": checkout.statement_count,
        "statement": checkout.statement[:MAX_STATEMENT_LENGTH],
        "running": None if running is None else round(running, 3),
        "idle": round(checkout.idle_seconds(now), 3),
        "place": call_site.format_site(checkout.stack),
        "violations": sorted(checkout.violations),
    }
    if checkout.seconds >= MIN_HELD_FOR_STACK:
        tree["stack"] = call_site.format_stack(checkout.stack)
        tree["now_at"] = call_site.format_thread(checkout.thread.ident) if checkout.thread.is_alive() else ""
    return tree


def _batch_size_histogram(sizes: dict[int, int]) -> list[int]:
    """Return how many batches had at most 1, 2, 4, … 512 entries and more than the power before."""
    counts = [0] * 10
    for size, count in sizes.items():
        counts[min(9, max(0, (size - 1).bit_length()))] += count
    return counts
