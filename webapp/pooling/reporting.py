"""What a process says of itself: its lanes, who holds, who waits, what it has counted; as a plain tree."""

from __future__ import annotations

import time
from typing import Any

from webapp.pooling import groupcommit, plain, stacks, tally
from webapp.pooling.fleet import Tree
from webapp.pooling.holds import Hold
from webapp.pooling.lanes import Lane, Lanes, fair_pools
from webapp.pooling.pool import FairQueuePool
from webapp.pooling.statistics import RequestStatistics

WORTH_A_LINE = 0.1
"""Seconds for which a connection must have been held to be shown."""
WORTH_A_STACK = 1.0
MOST_HOLDERS = 50
MOST_WAITERS = 50
MOST_OF_A_STATEMENT = 500
"""Characters."""


def lanes_now(lanes: Lanes) -> dict[str, Tree]:
    """Return the state of every lane whose pool is ours."""
    return {lane.name: _lane(lane, pool) for lane, pool in fair_pools(lanes)}


def lanes_counted(lanes: Lanes) -> dict[str, Tree]:
    """Return what every lane has counted."""
    return {
        lane.name: {**plain.of_snapshot(pool.statistics.snapshot()), "holds": dict(lane.watch.counts)}
        for lane, pool in fair_pools(lanes)
        if pool.statistics is not None
    }


def requests_counted(requests: RequestStatistics) -> Tree:
    """Return how many requests there were, and how many statements these needed."""
    routes = {" ".join(map(str, route)): plain.of_histogram(one) for route, one in requests.routes().items()}
    return {"count": requests.requests, "statements": requests.statements, "routes": routes}


def tallies_counted() -> Tree:
    """What other parts of this process have counted."""
    return {one.name: dict(one.counts) for one in tally.declared() if one.counts}


def commits_now() -> dict[str, Tree]:
    """Return how many wait for each group commit of this process."""
    return {group.name: {"waiting": group.waiting()} for group in groupcommit.all_groups()}


def commits_counted() -> dict[str, Tree]:
    """Return how many batches of which size each group commit of this process has written, and how long that took."""
    return {
        group.name: {
            "batches": _by_power(dict(group.batches)),
            "entries": sum(size * count for size, count in group.batches.copy().items()),
            "commits": plain.of_histogram(group.commits),
            "refused": group.refused,
        }
        for group in groupcommit.all_groups()
    }


def holders(lanes: Lanes) -> list[Tree]:
    """Return who holds a connection, the longest first."""
    held = [hold for lane in lanes for hold in lane.watch.holds.live() if hold.seconds >= WORTH_A_LINE]
    held.sort(key=lambda hold: hold.since)
    return [_holder(hold) for hold in held[:MOST_HOLDERS]]


def waiters(lanes: Lanes) -> list[Tree]:
    """Return who waits for a connection, the longest first."""
    now = time.monotonic()
    waiting = [(one, lane.name) for lane, pool in fair_pools(lanes) for one in pool._line.waiting.copy()]
    waiting.sort(key=lambda pair: pair[0].since)
    return [
        {"lane": name, "name": one.who(), "seconds": round(now - one.since, 3)} for one, name in waiting[:MOST_WAITERS]
    ]


def find_hold(lanes: Lanes, identity: int) -> Hold | None:
    """Return the hold whose connection has this number, if it is still out."""
    return next((hold for lane in lanes for hold in lane.watch.holds.live() if connection_id(hold) == identity), None)


def connection_id(hold: Hold) -> int:
    """Return the server's own number of a held connection; on SQLite, one that is unique in this process."""
    number = getattr(hold.taken, "thread_id", None)
    try:
        return int(number()) if number is not None else id(hold.taken)
    except Exception:  # noqa: BLE001 - it was closed in this moment; any number will do
        return id(hold.taken)


def _lane(lane: Lane, pool: FairQueuePool) -> Tree:
    most, _ = pool.bounds()
    return {
        "used": pool.checkedout(),
        "idle": pool.checkedin(),
        "size": pool.size(),
        "most": most if most != float("inf") else None,
        "waiting": pool.waiting(),
        "oldest": round(pool.oldest_wait(), 3),
        "held": round(sum(hold.seconds for hold in lane.watch.holds.live()), 3),
        "is_slow": pool._line.shedding is not None and pool._line.shedding.slow,
        "is_paused": lane.is_paused(),
    }


def _holder(hold: Hold) -> Tree:
    now = time.monotonic()
    running = hold.running(now)
    tree: dict[str, Any] = {
        "id": connection_id(hold),
        "since": hold.since,
        "lane": hold.holds.name,
        "name": hold.request.name or hold.thread.name,
        "seconds": round(hold.seconds, 3),
        "statements": hold.statements,
        "statement": hold.statement[:MOST_OF_A_STATEMENT],
        "running": None if running is None else round(running, 3),
        "idle": round(hold.idle(now), 3),
        "place": stacks.place(hold.stack),
        "kinds": sorted(hold.kinds),
    }
    if hold.seconds >= WORTH_A_STACK:
        tree["stack"] = stacks.lines(hold.stack)
        tree["now_at"] = stacks.current(hold.thread.ident) if hold.thread.is_alive() else ""
    return tree


def _by_power(sizes: dict[int, int]) -> list[int]:
    """Return how many batches had at most 1, 2, 4, … 512 entries and more than the power before."""
    counts = [0] * 10
    for size, count in sizes.items():
        counts[min(9, max(0, (size - 1).bit_length()))] += count
    return counts
