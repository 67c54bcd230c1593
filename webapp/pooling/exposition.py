"""The numbers of a fleet as metrics: summed over its processes, those that are gone included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from webapp.pooling import plain, tally
from webapp.pooling.fleet import Seen, Tree
from webapp.pooling.metrics import Family, PoolState, families, histogram_family, of_requests
from webapp.pooling.watch import Kind

REASONS = ("age", "disposed", "idle", "invalidated", "lost", "surplus")
"""Why connections are closed."""
FASTEST, SLOWEST = -10, 5
"""Powers of two that are the edges of the durations of requests and commits: 1 ms to 32 s."""


def fleet_families(seen: Seen, keep: int) -> list[Family]:
    """Return every metric of a fleet; `keep` is how many idle connections each pool keeps in any case."""
    return [
        *families(_pool_states(seen, keep)),
        _processes(seen),
        *_requests(seen.counted.get("requests", {})),
        *_commits(seen),
        *_tallies(seen.counted.get("tallies", {})),
    ]


def _pool_states(seen: Seen, keep: int) -> list[PoolState]:
    states = []
    for name, counted in seen.counted.get("lanes", {}).items():
        lanes = [one.now["lanes"][name] for one in seen.members if name in one.now.get("lanes", {})]
        most = sum(lane["most"] if lane["most"] is not None else float("inf") for lane in lanes)
        states.append(
            PoolState(
                name,
                used=sum(lane["used"] for lane in lanes),
                idle=sum(lane["idle"] for lane in lanes),
                maximum=most,
                idle_maximum=sum(lane["size"] for lane in lanes),
                idle_minimum=keep * len(lanes),
                waiting=sum(lane["waiting"] for lane in lanes),
                oldest_wait=max((lane["oldest"] for lane in lanes), default=0.0),
                counted=plain.snapshot({**counted, "closed": {**dict.fromkeys(REASONS, 0), **counted["closed"]}}),
                # From the start, so that a rate sees the first one.
                holds={**dict.fromkeys(Kind, 0), **counted["holds"]},
            )
        )
    return states


def _processes(seen: Seen) -> Family:
    by_name: dict[str, float] = {"worker": 0.0}
    for one in seen.members:
        name = str(one.about.get("name", ""))
        by_name[name] = by_name.get(name, 0.0) + 1
    samples = [("", {"kind": name}, count) for name, count in sorted(by_name.items())]
    return Family("poolproof_processes", "gauge", "Processes of this machine that take part in the fleet.", samples)


def _requests(counted: Tree) -> Sequence[Family]:
    labelled = []
    for route, tree in counted.get("routes", {}).items():
        # A rule of another app may have blanks.
        method, _, rest = route.partition(" ")
        rule, _, status = rest.rpartition(" ")
        labels = {"http_request_method": method, "http_response_status_code": status, "http_route": rule}
        labelled.append((labels, plain.histogram(tree)))
    return [
        histogram_family(
            "http_server_request_duration_seconds", "Requests, from their arrival in a thread to their answer.",
            labelled, FASTEST, SLOWEST,
        ),
        *of_requests(counted.get("count", 0), counted.get("statements", 0)),
    ]  # fmt: skip


def _commits(seen: Seen) -> Sequence[Family]:
    counted: Mapping[str, Any] = seen.counted.get("commits", {})
    waiting: dict[str, float] = dict.fromkeys(counted, 0.0)
    for one in seen.members:
        for name, now in one.now.get("commits", {}).items():
            waiting[name] = waiting.get(name, 0.0) + now["waiting"]
    sizes = [({"writer": name}, tree["batches"], tree["entries"]) for name, tree in counted.items()]
    return [
        Family(
            "poolproof_group_commit_entries", "histogram", "Entries of a group commit.",
            [sample for labels, counts, entries in sizes for sample in _sizes(labels, counts, entries)],
        ),
        histogram_family(
            "poolproof_group_commit_seconds", "How long a group commit took.",
            [({"writer": name}, plain.histogram(tree["commits"])) for name, tree in counted.items()], FASTEST, SLOWEST,
        ),
        _counter(
            "poolproof_group_commit_refused", "Entries refused because too many waited already.",
            [({"writer": name}, tree["refused"]) for name, tree in counted.items()],
        ),
        Family(
            "poolproof_group_commit_waiting", "gauge", "Entries that wait for their commit.",
            [("", {"writer": name}, count) for name, count in waiting.items()],
        ),
    ]  # fmt: skip


def _tallies(counted: Tree) -> Sequence[Family]:
    return [
        _counter(
            one.name,
            one.meaning,
            [
                (dict(zip(one.labels, key.split(tally.SEPARATOR), strict=True)), count)
                for key, count in counted.get(one.name, {}).items()
            ],
        )
        for one in tally.declared()
    ]


def _sizes(labels: dict[str, str], counts: list[int], entries: int) -> list[tuple[str, dict[str, str], float]]:
    samples, below = [], 0
    for power, count in enumerate(counts):
        below += count
        samples.append(("_bucket", {**labels, "le": str(2**power)}, float(below)))
    samples.append(("_bucket", {**labels, "le": "+Inf"}, float(below)))
    return [*samples, ("_sum", labels, float(entries)), ("_count", labels, float(below))]


def _counter(name: str, meaning: str, values: Sequence[tuple[dict[str, str], float]]) -> Family:
    return Family(f"{name}_total", "counter", meaning, [("", labels, float(value)) for labels, value in values])
