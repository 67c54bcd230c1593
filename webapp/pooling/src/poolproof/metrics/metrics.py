"""The numbers of pools under OpenTelemetry's names, in Prometheus's text format.

Names: OpenTelemetry semantic conventions, database client connection pools, with underscores and units as its
Prometheus exporter writes them. Beside these nine, under `poolproof_`: what the conventions have no name for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from poolproof.core.queue_pool import FairQueuePool
from poolproof.core.stats import BUCKET_OFFSET, Histogram, StatisticsSnapshot

POOL_NAME = "db_client_connection_pool_name"
MIN_EXPONENT, MAX_EXPONENT = -17, 6
"""Edges of histograms are powers of two: from 2^-17 s (8 µs) to 2^6 s (64 s)."""


@dataclass(frozen=True)
class PoolState:
    """One pool at one moment."""

    name: str
    used: int
    idle: int
    maximum: float
    idle_maximum: float
    idle_minimum: int
    waiting: int
    oldest_wait: float
    """Seconds."""
    statistics: StatisticsSnapshot
    violations: Mapping[str, int]
    """Connections held wrongly so far, by kind; see `leak_detector`."""


@dataclass(frozen=True)
class MetricFamily:
    """One metric: its name, type and meaning, and its samples as (suffix, labels, value)."""

    name: str
    kind: str
    description: str
    samples: list[tuple[str, dict[str, str], float]]


def pool_state(
    name: str, pool: FairQueuePool, min_idle: int = 0, violations: Mapping[str, int] | None = None
) -> PoolState:
    """Return the state of `pool`; `min_idle` connections are kept idle in any case.

    Raises:
        ValueError: when the pool was made without statistics.
    """
    if pool.statistics is None:
        raise ValueError(f"The pool {name} counts nothing: make it with statistics=PoolStatistics().")
    maximum, idle_maximum = pool.limit(), pool.max_idle()
    return PoolState(
        name,
        used=pool.checkedout(),
        idle=pool.idle_connections(),
        maximum=maximum,
        idle_maximum=idle_maximum,
        idle_minimum=min_idle,
        waiting=pool.waiting(),
        oldest_wait=pool.oldest_wait(),
        statistics=pool.statistics.snapshot(),
        violations=violations or {},
    )


def pool_families(states: Iterable[PoolState]) -> list[MetricFamily]:
    """Return every metric of these pools."""
    states = list(states)
    return [*_opentelemetry(states), *_poolproof(states)]


def request_families(requests: int, statements: int) -> list[MetricFamily]:
    """Return the metrics of how many requests there were, and how many statements these needed."""
    return [
        MetricFamily("poolproof_requests_total", "counter", "Requests that are over.", [("", {}, float(requests))]),
        MetricFamily(
            "poolproof_request_statements_total",
            "counter",
            "Statements on connections that requests have borrowed.",
            [("", {}, float(statements))],
        ),
    ]


def render_text(families: Iterable[MetricFamily], *, openmetrics: bool = False) -> str:
    """Return metrics in Prometheus's text format 0.0.4, or in OpenMetrics 1.0."""
    lines = []
    for family in families:
        # OpenMetrics names a counter without the ending of its samples.
        name = family.name.removesuffix("_total") if openmetrics else family.name
        kind = {"untyped": "unknown"}.get(family.kind, family.kind) if openmetrics else family.kind
        lines += [f"# HELP {name} {family.description}", f"# TYPE {name} {kind}"]
        for suffix, labels, value in family.samples:
            inside = ",".join(f'{label}="{_escape_label(text)}"' for label, text in labels.items())
            labelled = f"{{{inside}}}" if inside else ""
            lines.append(f"{family.name}{suffix}{labelled} {_format_number(value)}")
    return "\n".join([*lines, "# EOF"] if openmetrics else lines) + "\n"


def _opentelemetry(states: list[PoolState]) -> Iterator[MetricFamily]:
    counts = [
        ("", {POOL_NAME: state.name, "db_client_connection_state": condition}, float(value))
        for state in states
        for condition, value in (("idle", state.idle), ("used", state.used))
    ]
    # It is a gauge. But Prometheus reserves the ending _count for histograms and refuses a gauge of that name
    # (`promtool check metrics`), and the name is OpenTelemetry's.
    yield MetricFamily("db_client_connection_count", "untyped", "Connections that are idle or used.", counts)
    yield _gauge(
        "db_client_connection_max",
        "The most connections there may be.",
        {state.name: state.maximum for state in states},
    )
    yield _gauge(
        "db_client_connection_idle_max",
        "The most connections that may be idle.",
        {state.name: state.idle_maximum for state in states},
    )
    yield _gauge(
        "db_client_connection_idle_min",
        "Idle connections that are kept in any case.",
        {state.name: state.idle_minimum for state in states},
    )
    yield _gauge(
        "db_client_connection_pending_requests",
        "Threads that wait for a connection.",
        {state.name: state.waiting for state in states},
    )
    yield _counter(
        "db_client_connection_timeouts",
        "Waits for a connection that ended with a time-out.",
        {state.name: state.statistics.timeouts for state in states},
    )
    yield _histogram(
        "db_client_connection_create_time_seconds",
        "Opening a connection.",
        {state.name: state.statistics.create_time for state in states},
    )
    yield _histogram(
        "db_client_connection_wait_time_seconds",
        "Waiting for a connection of the pool.",
        {state.name: state.statistics.wait_time for state in states},
    )
    yield _histogram(
        "db_client_connection_use_time_seconds",
        "Between borrowing a connection and giving it back.",
        {state.name: state.statistics.use_time for state in states},
    )


def _poolproof(states: list[PoolState]) -> Iterator[MetricFamily]:
    yield _counter(
        "poolproof_pool_shed",
        "Waits that ended early in an overload.",
        {state.name: state.statistics.shed for state in states},
    )
    yield _counter(
        "poolproof_pool_refused",
        "Borrowers refused because too many waited already.",
        {state.name: state.statistics.refused for state in states},
    )
    yield _gauge(
        "poolproof_pool_oldest_wait_seconds",
        "How long the first in the queue has waited.",
        {state.name: state.oldest_wait for state in states},
    )
    yield _labelled_counter(
        "poolproof_pool_closed",
        "Connections closed.",
        "reason",
        {state.name: state.statistics.closed for state in states},
    )
    yield _labelled_counter(
        "poolproof_pool_violations",
        "Connections held wrongly.",
        "kind",
        {state.name: state.violations for state in states},
    )


def _gauge(name: str, description: str, values: Mapping[str, float]) -> MetricFamily:
    return MetricFamily(
        name, "gauge", description, [("", {POOL_NAME: pool}, float(value)) for pool, value in values.items()]
    )


def _counter(name: str, description: str, values: Mapping[str, float]) -> MetricFamily:
    samples = [("", {POOL_NAME: pool}, float(value)) for pool, value in values.items()]
    return MetricFamily(f"{name}_total", "counter", description, samples)


def _labelled_counter(name: str, description: str, label: str, values: Mapping[str, Mapping[str, int]]) -> MetricFamily:
    samples = [
        ("", {POOL_NAME: pool, label: str(key)}, float(count))
        for pool, counts in values.items()
        for key, count in sorted(counts.items())
    ]
    return MetricFamily(f"{name}_total", "counter", description, samples)


def _histogram(name: str, description: str, values: Mapping[str, Histogram]) -> MetricFamily:
    labelled = [({POOL_NAME: pool}, histogram) for pool, histogram in values.items()]
    return histogram_family(name, description, labelled, MIN_EXPONENT, MAX_EXPONENT)


def histogram_family(
    name: str, description: str, labelled: Iterable[tuple[dict[str, str], Histogram]], lowest: int, highest: int
) -> MetricFamily:
    """Return histograms of durations as one metric; its edges are powers of two, from 2^lowest to 2^highest seconds."""
    samples: list[tuple[str, dict[str, str], float]] = []
    for labels, histogram in labelled:
        below = sum(histogram.counts[: lowest + BUCKET_OFFSET])
        for power in range(lowest, highest + 1):
            below += histogram.counts[power + BUCKET_OFFSET]
            samples.append(("_bucket", {**labels, "le": _format_number(2.0**power)}, float(below)))
        samples.append(("_bucket", {**labels, "le": "+Inf"}, float(histogram.count)))
        samples.append(("_sum", labels, histogram.total))
        samples.append(("_count", labels, float(histogram.count)))
    return MetricFamily(name, "histogram", description, samples)


def _format_number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) else repr(value)


def _escape_label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
