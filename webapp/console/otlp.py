"""Exports the fleet's metrics to an OpenTelemetry collector with OpenTelemetry's SDK; imported only where one is set.

The counters are already summed over all processes, also those that have ended, so nothing is recorded
by instruments: the SDK's data are made from the same metrics that /metrics shows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    DataT,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from poolproof import event_log
from poolproof.fleet.fleet_metrics import fleet_families
from poolproof.fleet.registry import FleetDirectory
from poolproof.metrics.metrics import POOL_NAME, MetricFamily
from poolproof.runtime.files import read_json, write_json
from poolproof.runtime.periodic_thread import PeriodicThread

EXPORT_TIMEOUT = 10.0
"""Seconds of one export, with its retries."""
IDLE_INTERVAL = 3600.0
CUMULATIVE = AggregationTemporality.CUMULATIVE

Attributes = dict[str, str | int]

METRIC_NAMES = {
    "db_client_connection_count": ("db.client.connection.count", "{connection}"),
    "db_client_connection_max": ("db.client.connection.max", "{connection}"),
    "db_client_connection_idle_max": ("db.client.connection.idle.max", "{connection}"),
    "db_client_connection_idle_min": ("db.client.connection.idle.min", "{connection}"),
    "db_client_connection_pending_requests": ("db.client.connection.pending_requests", "{request}"),
    "db_client_connection_timeouts_total": ("db.client.connection.timeouts", "{timeout}"),
    "db_client_connection_create_time_seconds": ("db.client.connection.create_time", "s"),
    "db_client_connection_wait_time_seconds": ("db.client.connection.wait_time", "s"),
    "db_client_connection_use_time_seconds": ("db.client.connection.use_time", "s"),
    "http_server_request_duration_seconds": ("http.server.request.duration", "s"),
    "poolproof_pool_shed_total": ("poolproof.pool.shed", "{request}"),
    "poolproof_pool_refused_total": ("poolproof.pool.refused", "{request}"),
    "poolproof_pool_oldest_wait_seconds": ("poolproof.pool.oldest_wait", "s"),
    "poolproof_pool_closed_total": ("poolproof.pool.closed", "{connection}"),
    "poolproof_pool_violations_total": ("poolproof.pool.violations", "{connection}"),
    "poolproof_processes": ("poolproof.processes", "{process}"),
    "poolproof_requests_total": ("poolproof.requests", "{request}"),
    "poolproof_request_statements_total": ("poolproof.request.statements", "{statement}"),
    "poolproof_group_commit_entries": ("poolproof.group_commit.entries", "{entry}"),
    "poolproof_group_commit_seconds": ("poolproof.group_commit.duration", "s"),
    "poolproof_group_commit_refused_total": ("poolproof.group_commit.refused", "{entry}"),
    "poolproof_group_commit_waiting": ("poolproof.group_commit.waiting", "{entry}"),
    "poolproof_collected_records_total": ("poolproof.collector.records", "{record}"),
    "poolproof_blocking_calls_total": ("poolproof.blocking.calls", "{call}"),
    "poolproof_collector_calls_total": ("poolproof.collector.calls", "{call}"),
}
"""OpenTelemetry's names with their units, by Prometheus's names."""

ATTRIBUTE_NAMES = {
    POOL_NAME: "db.client.connection.pool.name",
    "db_client_connection_state": "db.client.connection.state",
    "http_request_method": "http.request.method",
    "http_response_status_code": "http.response.status_code",
    "http_route": "http.route",
}
STATUS_ATTRIBUTE, ROUTE_ATTRIBUTE = ATTRIBUTE_NAMES["http_response_status_code"], ATTRIBUTE_NAMES["http_route"]
SERVER_ERROR = 500


class OtlpExporter:
    """Sends a fleet's metrics to a collector at an interval, by a thread of its own."""

    def __init__(self, endpoint: str, interval: float, directory: FleetDirectory, min_idle: int, machine: str) -> None:
        """Send nothing and start nothing yet; `min_idle` is how many idle connections each pool keeps."""
        self._endpoint = endpoint
        self._interval = interval
        self._directory = directory
        self._min_idle = min_idle
        self._machine = machine
        self._exported_at = -math.inf
        self._is_due = False
        self._is_accepted = True
        self._thread = PeriodicThread("poolproof-otlp", self._export)
        self._send: Callable[[MetricsData], MetricExportResult] | None = None
        self._resource: Resource | None = None

    def tick(self) -> None:
        """Let the thread export when it is time; the leader of the fleet calls it and never waits for the collector."""
        now = time.monotonic()
        if now - self._exported_at >= self._interval:
            self._exported_at = now
            self._is_due = True
            self._thread.wake()

    def stop(self) -> bool:
        """Let the thread end; return whether it did in time."""
        return self._thread.stop()

    def metrics_data(self, resource: Resource) -> MetricsData:
        """Return the fleet's metrics at this moment."""
        families = fleet_families(self._directory.snapshot(), self._min_idle)
        since, now = self._counters_start_ns(), time.time_ns()
        metrics = [_metric(family, since, now) for family in families if family.samples]
        scope = ScopeMetrics(InstrumentationScope("poolproof"), metrics, "")
        return MetricsData([ResourceMetrics(resource, [scope], "")])

    def _export(self) -> float:
        # A thread that was woken before it started runs twice; the second run must not export again.
        if self._is_due:
            self._is_due = False
            if self._send is None or self._resource is None:
                # Not earlier: a connection cannot be shared after a fork.
                self._send = OTLPMetricExporter(self._endpoint, timeout=min(EXPORT_TIMEOUT, self._interval)).export
                self._resource = Resource.create({"service.name": "poolproof", "host.name": self._machine})
            is_accepted = self._send(self.metrics_data(self._resource)) is MetricExportResult.SUCCESS
            if is_accepted != self._is_accepted:
                result = "accepts the metrics again" if is_accepted else "does not accept the metrics; it is retried"
                event_log.record("otlp", f"The OpenTelemetry collector {result}.")
            self._is_accepted = is_accepted
        return IDLE_INTERVAL

    def _counters_start_ns(self) -> int:
        # In a file, so that it is the same for each leader: another start would mean that the counters were reset.
        # The file is removed together with the directory of the counters.
        path = self._directory.path / "counting.json"
        record = read_json(path)
        if record is None or not isinstance(record.get("since"), int):
            record = {"since": time.time_ns()}
            write_json(path, record)
        since: int = record["since"]
        return since


def _metric(family: MetricFamily, since: int, now: int) -> Metric:
    name, unit = METRIC_NAMES[family.name]
    return Metric(name, family.description, unit, _data(name, family, since, now))


def _data(name: str, family: MetricFamily, since: int, now: int) -> DataT:
    if family.kind == "histogram":
        return Histogram(list(_histograms(family, since, now)), CUMULATIVE)
    points = [
        NumberDataPoint(_attributes(labels), since, now, value)
        for _, labels, value in family.samples
        # A pool without a limit has an infinite one, which is left out.
        if math.isfinite(value)
    ]
    if family.kind == "counter":
        return Sum(points, CUMULATIVE, is_monotonic=True)
    if name.startswith("db."):
        # The semantic conventions define an UpDownCounter for each of them.
        return Sum(points, CUMULATIVE, is_monotonic=False)
    return Gauge(points)


def _histograms(family: MetricFamily, since: int, now: int) -> Iterable[HistogramDataPoint]:
    by_series: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
    for suffix, labels, value in family.samples:
        series = tuple((label, text) for label, text in labels.items() if label != "le")
        by_series.setdefault(series, {})[labels.get("le", suffix)] = value
    for series, values in by_series.items():
        total, count = values.pop("_sum"), values.pop("_count")
        edges = [float(edge) for edge in values]
        cumulative = [int(value) for value in values.values()]
        yield HistogramDataPoint(
            attributes=_attributes(dict(series)),
            start_time_unix_nano=since,
            time_unix_nano=now,
            count=int(count),
            sum=total,
            # Counts of single buckets; those of Prometheus are cumulative.
            bucket_counts=[count - lower for count, lower in zip(cumulative, [0, *cumulative[:-1]], strict=True)],
            explicit_bounds=edges[:-1],
            # Not recorded; optional in the protocol.
            min=None,  # type: ignore[arg-type]
            max=None,  # type: ignore[arg-type]
        )


def _attributes(labels: dict[str, str]) -> Attributes:
    attributes: Attributes = {ATTRIBUTE_NAMES.get(label, label): text for label, text in labels.items()}
    if STATUS_ATTRIBUTE in attributes:
        attributes[STATUS_ATTRIBUTE] = status = int(attributes[STATUS_ATTRIBUTE])
        if status >= SERVER_ERROR:
            attributes["error.type"] = str(status)
    if attributes.get(ROUTE_ATTRIBUTE) == "unmatched":
        # The semantic conventions define a route only where one matched.
        del attributes[ROUTE_ATTRIBUTE]
    return attributes
