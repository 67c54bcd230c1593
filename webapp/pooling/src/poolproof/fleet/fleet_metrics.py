"""The numbers of a fleet as metrics: summed over its processes, those that are gone included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from poolproof.core import stats
from poolproof.fleet.registry import FleetSnapshot
from poolproof.leaks.leak_detector import Violation
from poolproof.metrics import counters as metrics_counters
from poolproof.metrics.metrics import MetricFamily, PoolState, histogram_family, pool_families, request_families
from poolproof.runtime.files import JsonObject

CLOSE_REASONS = ("age", "disposed", "idle", "invalidated", "lost", "surplus")
"""Why connections are closed."""
MIN_DURATION_EXPONENT, MAX_DURATION_EXPONENT = -10, 5
"""Powers of two that are the edges of the durations of requests and commits: 1 ms to 32 s."""


def fleet_families(fleet: FleetSnapshot, min_idle: int) -> list[MetricFamily]:
    """Return every metric of a fleet; `keep` is how many idle connections each pool keeps in any case."""
    return [
        *pool_families(_pool_states(fleet, min_idle)),
        _processes(fleet),
        *_requests(fleet.counters.get("requests", {})),
        *_commits(fleet),
        *_labelled_counters(fleet.counters.get("tallies", {})),
    ]


def _pool_states(fleet: FleetSnapshot, min_idle: int) -> list[PoolState]:
    states = []
    for name, counted in fleet.counters.get("lanes", {}).items():
        lanes = [one.status["lanes"][name] for one in fleet.members if name in one.status.get("lanes", {})]
        most = sum(lane["most"] if lane["most"] is not None else float("inf") for lane in lanes)
        states.append(
            PoolState(
                name,
                used=sum(lane["used"] for lane in lanes),
                idle=sum(lane["idle"] for lane in lanes),
                maximum=most,
                idle_maximum=sum(lane["size"] for lane in lanes),
                idle_minimum=min_idle * len(lanes),
                waiting=sum(lane["waiting"] for lane in lanes),
                oldest_wait=max((lane["oldest"] for lane in lanes), default=0.0),
                statistics=stats.snapshot_from_dict(
                    {**counted, "closed": {**dict.fromkeys(CLOSE_REASONS, 0), **counted["closed"]}}
                ),
                # From the start, so that a rate sees the first one.
                violations={**dict.fromkeys(Violation, 0), **counted["holds"]},
            )
        )
    return states


def _processes(fleet: FleetSnapshot) -> MetricFamily:
    by_name: dict[str, float] = {"worker": 0.0}
    for one in fleet.members:
        name = str(one.identity.get("name", ""))
        by_name[name] = by_name.get(name, 0.0) + 1
    samples = [("", {"kind": name}, count) for name, count in sorted(by_name.items())]
    return MetricFamily(
        "poolproof_processes", "gauge", "Processes of this machine that take part in the fleet.", samples
    )


def _requests(counters: JsonObject) -> Sequence[MetricFamily]:
    labelled = []
    for route, tree in counters.get("routes", {}).items():
        # A rule of another app may have blanks.
        method, _, rest = route.partition(" ")
        rule, _, status = rest.rpartition(" ")
        labels = {"http_request_method": method, "http_response_status_code": status, "http_route": rule}
        labelled.append((labels, stats.histogram_from_dict(tree)))
    return [
        histogram_family(
            "http_server_request_duration_seconds", "Requests, from their arrival in a thread to their answer.",
            labelled, MIN_DURATION_EXPONENT, MAX_DURATION_EXPONENT,
        ),
        *request_families(counters.get("count", 0), counters.get("statements", 0)),
    ]  # fmt: skip


def _commits(fleet: FleetSnapshot) -> Sequence[MetricFamily]:
    counted: Mapping[str, Any] = fleet.counters.get("commits", {})
    waiting: dict[str, float] = dict.fromkeys(counted, 0.0)
    for one in fleet.members:
        for name, now in one.status.get("commits", {}).items():
            waiting[name] = waiting.get(name, 0.0) + now["waiting"]
    sizes = [({"writer": name}, tree["batches"], tree["entries"]) for name, tree in counted.items()]
    return [
        MetricFamily(
            "poolproof_group_commit_entries", "histogram", "Entries of a group commit.",
            [sample for labels, counts, entries in sizes for sample in _batch_size_samples(labels, counts, entries)],
        ),
        histogram_family(
            "poolproof_group_commit_seconds", "How long a group commit took.",
            [({"writer": name}, stats.histogram_from_dict(tree["commits"])) for name, tree in counted.items()], MIN_DURATION_EXPONENT, MAX_DURATION_EXPONENT,
        ),
        _counter(
            "poolproof_group_commit_refused", "Entries refused because too many waited already.",
            [({"writer": name}, tree["refused"]) for name, tree in counted.items()],
        ),
        MetricFamily(
            "poolproof_group_commit_waiting", "gauge", "Entries that wait for their commit.",
            [("", {"writer": name}, count) for name, count in waiting.items()],
        ),
    ]  # fmt: skip


def _labelled_counters(counters: JsonObject) -> Sequence[MetricFamily]:
    return [
        _counter(
            one.name,
            one.description,
            [
                (dict(zip(one.labels, key.split(metrics_counters.LABEL_SEPARATOR), strict=True)), count)
                for key, count in counters.get(one.name, {}).items()
            ],
        )
        for one in metrics_counters.declared_counters()
    ]


def _batch_size_samples(
    labels: dict[str, str], counts: list[int], entries: int
) -> list[tuple[str, dict[str, str], float]]:
    samples, below = [], 0
    for power, count in enumerate(counts):
        below += count
        samples.append(("_bucket", {**labels, "le": str(2**power)}, float(below)))
    samples.append(("_bucket", {**labels, "le": "+Inf"}, float(below)))
    return [*samples, ("_sum", labels, float(entries)), ("_count", labels, float(below))]


def _counter(name: str, meaning: str, values: Sequence[tuple[dict[str, str], float]]) -> MetricFamily:
    return MetricFamily(f"{name}_total", "counter", meaning, [("", labels, float(value)) for labels, value in values])
