"""The counters of a fleet as metrics: summed over its processes, including those that have exited."""

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
    """Return every metric of a fleet; `min_idle` is how many idle connections each pool keeps in any case."""
    return [
        *pool_families(_pool_states(fleet, min_idle)),
        _processes(fleet),
        *_requests(fleet.counters.get("requests", {})),
        *_commits(fleet),
        *_labelled_counters(fleet.counters.get("tallies", {})),
    ]


def _pool_states(fleet: FleetSnapshot, min_idle: int) -> list[PoolState]:
    states = []
    for name, counters in fleet.counters.get("lanes", {}).items():
        lanes = [member.status["lanes"][name] for member in fleet.members if name in member.status.get("lanes", {})]
        limit = sum(lane["most"] if lane["most"] is not None else float("inf") for lane in lanes)
        states.append(
            PoolState(
                name,
                used=sum(lane["used"] for lane in lanes),
                idle=sum(lane["idle"] for lane in lanes),
                maximum=limit,
                idle_maximum=sum(lane["size"] for lane in lanes),
                idle_minimum=min_idle * len(lanes),
                waiting=sum(lane["waiting"] for lane in lanes),
                oldest_wait=max((lane["oldest"] for lane in lanes), default=0.0),
                statistics=stats.snapshot_from_dict(
                    {**counters, "closed": {**dict.fromkeys(CLOSE_REASONS, 0), **counters["closed"]}}
                ),
                # Zeros from the start, so that a rate includes the first one.
                violations={**dict.fromkeys(Violation, 0), **counters["violations"]},
            )
        )
    return states


def _processes(fleet: FleetSnapshot) -> MetricFamily:
    by_name: dict[str, float] = {"worker": 0.0}
    for member in fleet.members:
        name = str(member.identity.get("name", ""))
        by_name[name] = by_name.get(name, 0.0) + 1
    samples = [("", {"kind": name}, count) for name, count in sorted(by_name.items())]
    return MetricFamily(
        "poolproof_processes", "gauge", "Processes of this machine that take part in the fleet.", samples
    )


def _requests(counters: JsonObject) -> Sequence[MetricFamily]:
    labelled = []
    for route, histogram in counters.get("routes", {}).items():
        # The rule may contain blanks.
        method, _, rest = route.partition(" ")
        rule, _, status = rest.rpartition(" ")
        labels = {"http_request_method": method, "http_response_status_code": status, "http_route": rule}
        labelled.append((labels, stats.histogram_from_dict(histogram)))
    return [
        histogram_family(
            "http_server_request_duration_seconds", "Requests, from their arrival in a thread to their answer.",
            labelled, MIN_DURATION_EXPONENT, MAX_DURATION_EXPONENT,
        ),
        *request_families(counters.get("count", 0), counters.get("statements", 0)),
    ]  # fmt: skip


def _commits(fleet: FleetSnapshot) -> Sequence[MetricFamily]:
    counters: Mapping[str, Any] = fleet.counters.get("commits", {})
    waiting: dict[str, float] = dict.fromkeys(counters, 0.0)
    for member in fleet.members:
        for name, now in member.status.get("commits", {}).items():
            waiting[name] = waiting.get(name, 0.0) + now["waiting"]
    sizes = [({"writer": name}, group["batches"], group["entries"]) for name, group in counters.items()]
    times = [({"writer": name}, stats.histogram_from_dict(group["commits"])) for name, group in counters.items()]
    return [
        MetricFamily(
            "poolproof_group_commit_entries", "histogram", "Entries of a group commit.",
            [sample for labels, counts, entries in sizes for sample in _batch_size_samples(labels, counts, entries)],
        ),
        histogram_family(
            "poolproof_group_commit_seconds", "How long a group commit took.",
            times, MIN_DURATION_EXPONENT, MAX_DURATION_EXPONENT,
        ),
        _counter(
            "poolproof_group_commit_refused", "Entries refused because too many waited already.",
            [({"writer": name}, group["refused"]) for name, group in counters.items()],
        ),
        MetricFamily(
            "poolproof_group_commit_waiting", "gauge", "Entries that wait for their commit.",
            [("", {"writer": name}, count) for name, count in waiting.items()],
        ),
    ]  # fmt: skip


def _labelled_counters(counters: JsonObject) -> Sequence[MetricFamily]:
    return [
        _counter(
            counter.name,
            counter.description,
            [
                (dict(zip(counter.labels, key.split(metrics_counters.LABEL_SEPARATOR), strict=True)), count)
                for key, count in counters.get(counter.name, {}).items()
            ],
        )
        for counter in metrics_counters.declared_counters()
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


def _counter(name: str, description: str, values: Sequence[tuple[dict[str, str], float]]) -> MetricFamily:
    return MetricFamily(
        f"{name}_total", "counter", description, [("", labels, float(value)) for labels, value in values]
    )
