"""The state of a process as JSON objects: its lanes, its checkouts, its waiters, its counters."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from poolproof.core import stats
from poolproof.core.queue_pool import FairQueuePool
from poolproof.core.stats import RequestStatistics
from poolproof.lanes import Lane, fair_pools
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


def describe_process(lanes: Iterable[Lane], request_statistics: RequestStatistics) -> tuple[JsonObject, JsonObject]:
    """Return the counters of this process and its present state, as `FleetAgent` publishes them."""
    counted = {
        "lanes": lane_counters(lanes),
        "requests": request_counters(request_statistics),
        "commits": commit_counters(),
        "tallies": labelled_counters(),
    }
    status = {
        "lanes": lane_states(lanes),
        "holders": holders(lanes),
        "waiters": waiters(lanes),
        "commits": commit_states(),
    }
    return counted, status


def lane_states(lanes: Iterable[Lane]) -> dict[str, JsonObject]:
    """Return the state of every lane whose pool is a FairQueuePool."""
    return {lane.name: _lane_state(lane, pool) for lane, pool in fair_pools(lanes)}


def lane_counters(lanes: Iterable[Lane]) -> dict[str, JsonObject]:
    """Return what every lane has counted."""
    return {
        lane.name: {**stats.snapshot_to_dict(pool.statistics.snapshot()), "violations": dict(lane.leak_detector.counts)}
        for lane, pool in fair_pools(lanes)
        if pool.statistics is not None
    }


def request_counters(statistics: RequestStatistics) -> JsonObject:
    """Return how many requests there were, and how many statements these needed."""
    routes = {
        " ".join(map(str, route)): stats.histogram_to_dict(histogram)
        for route, histogram in statistics.routes().items()
    }
    return {"count": statistics.requests, "statements": statistics.statements, "routes": routes}


def labelled_counters() -> JsonObject:
    """Return the counts of every labelled counter of this process that has any."""
    return {counter.name: dict(counter.counts) for counter in counters.declared_counters() if counter.counts}


def commit_states() -> dict[str, JsonObject]:
    """Return how many values wait in each group commit of this process."""
    return {group.name: {"waiting": group.waiting()} for group in group_commit.all_groups()}


def commit_counters() -> dict[str, JsonObject]:
    """Return the sizes of the batches that each group commit of this process has written, and how long they took."""
    return {
        group.name: {
            "batches": _batch_size_histogram(dict(group.batch_sizes)),
            "entries": sum(size * count for size, count in group.batch_sizes.copy().items()),
            "commits": stats.histogram_to_dict(group.commit_time),
            "refused": group.refused,
        }
        for group in group_commit.all_groups()
    }


def holders(lanes: Iterable[Lane]) -> list[JsonObject]:
    """Return the checkouts that last longer than a moment, the longest first."""
    checkouts = [checkout for checkout in _live_checkouts(lanes) if checkout.seconds >= MIN_HELD_SHOWN]
    checkouts.sort(key=lambda checkout: checkout.since)
    return [_holder(checkout) for checkout in checkouts[:MAX_HOLDERS]]


def waiters(lanes: Iterable[Lane]) -> list[JsonObject]:
    """Return the requests and threads that wait for a connection, the longest first."""
    now = time.monotonic()
    waiting = [(waiter, lane.name) for lane, pool in fair_pools(lanes) for waiter in pool.waiters()]
    waiting.sort(key=lambda pair: pair[0].since)
    return [
        {"lane": lane, "name": waiter.owner_name(), "seconds": round(now - waiter.since, 3)}
        for waiter, lane in waiting[:MAX_WAITERS]
    ]


def find_checkout(lanes: Iterable[Lane], number: int) -> Checkout | None:
    """Return the checkout with this number, if it still lasts."""
    return next((checkout for checkout in _live_checkouts(lanes) if checkout.number == number), None)


def connection_id(checkout: Checkout) -> int:
    """Return the server's id of a checked out connection; on SQLite, a number that is unique in this process."""
    connection = checkout.dbapi_connection
    try:
        if hasattr(connection, "thread_id"):
            return int(connection.thread_id())
        # psycopg and psycopg2 themselves: the process on the server, as `pg_stat_activity` has it.
        return int(connection.info.backend_pid) if hasattr(connection, "info") else id(connection)
    except Exception:  # noqa: BLE001 - it was closed in this moment; any number will do
        return id(checkout.dbapi_connection)


def _live_checkouts(lanes: Iterable[Lane]) -> Iterator[Checkout]:
    for lane in lanes:
        yield from lane.leak_detector.checkouts.live()


def _lane_state(lane: Lane, pool: FairQueuePool) -> JsonObject:
    limit = pool.limit()
    return {
        "used": pool.checkedout(),
        "idle": pool.idle_connections(),
        "size": pool.size(),
        "most": limit if limit != float("inf") else None,
        "waiting": pool.waiting(),
        "oldest": round(pool.oldest_wait(), 3),
        "held": round(sum(checkout.seconds for checkout in lane.leak_detector.checkouts.live()), 3),
        "is_slow": pool.is_overloaded(),
        "is_paused": lane.is_suspended(),
    }


def _holder(checkout: Checkout) -> JsonObject:
    now = time.monotonic()
    running = checkout.running_seconds(now)
    holder: dict[str, Any] = {
        "id": connection_id(checkout),
        "checkout": checkout.number,
        "lane": checkout.registry.name,
        "name": checkout.request.name or checkout.thread.name,
        "seconds": round(checkout.seconds, 3),
        "statements": checkout.statement_count,
        "statement": checkout.statement,
        "running": None if running is None else round(running, 3),
        "idle": round(checkout.idle_seconds(now), 3),
        "place": call_site.format_site(checkout.stack),
        "violations": sorted(checkout.violations),
    }
    if checkout.seconds >= MIN_HELD_FOR_STACK:
        holder["stack"] = call_site.format_stack(checkout.stack)
        holder["now_at"] = call_site.format_thread(checkout.thread.ident) if checkout.thread.is_alive() else ""
    return holder


def _batch_size_histogram(sizes: dict[int, int]) -> list[int]:
    """Return how many batches had 1, 2, 3–4, 5–8, … 257–512 entries."""
    counts = [0] * 10
    for size, count in sizes.items():
        counts[min(9, max(0, (size - 1).bit_length()))] += count
    return counts
