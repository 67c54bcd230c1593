"""The export to a collector: an HTTP server in its place decodes what OpenTelemetry's SDK sends."""

from __future__ import annotations

import gzip
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.resources import Resource

from poolproof import event_log
from poolproof.fleet.fleet_metrics import fleet_families
from poolproof.fleet.registry import FleetDirectory
from poolproof.metrics.blocking_calls import BLOCKING_CALLS
from poolproof.metrics.counters import LABEL_SEPARATOR
from tests.support.waiting import wait_until
from tests.unit.poolproof.fleet.member import several
from tests.unit.poolproof.fleet.test_fleet_metrics import counted, now
from webapp import create_app
from webapp.collector.http_fetcher import CALLS
from webapp.collector.run_store import RECORDS
from webapp.console.otlp import METRIC_NAMES, OtlpExporter
from webapp.lab.factories import make_settings
from webapp.settings import ServiceSettings, Settings, SettingsError

SOON = 10.0
CUMULATIVE = 2


class Collector:
    """Records decoded requests; it may be slow, or refuse them."""

    def __init__(self) -> None:
        self.requests: list[ExportMetricsServiceRequest] = []
        self.status = 200
        self.may_reply = threading.Event()
        self.may_reply.set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                assert self.path == "/v1/metrics"
                assert self.headers["Content-Type"] == "application/x-protobuf"
                collector.may_reply.wait(SOON)
                collector.requests.append(ExportMetricsServiceRequest.FromString(body))
                self.send_response(collector.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/metrics"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self) -> None:
        self.may_reply.set()
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()

    def metrics(self) -> dict[str, Any]:
        """Return the metrics of the latest request, by name."""
        (resource,) = self.requests[-1].resource_metrics
        (scope,) = resource.scope_metrics
        assert scope.scope.name == "poolproof"
        by_name = {metric.name: metric for metric in scope.metrics}
        assert len(by_name) == len(scope.metrics)
        return by_name


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.stop()


@pytest.fixture
def directory(tmp_path: Path) -> FleetDirectory:
    return FleetDirectory(tmp_path / "fleet")


MakeExporter = Callable[..., OtlpExporter]


@pytest.fixture
def make_exporter(directory: FleetDirectory, collector: Collector) -> Iterator[MakeExporter]:
    exporters: list[OtlpExporter] = []

    def make(seconds: float = 3600.0) -> OtlpExporter:
        exporters.append(OtlpExporter(collector.url, seconds, directory, min_idle=1, machine="here"))
        return exporters[-1]

    yield make
    collector.may_reply.set()
    for exporter in exporters:
        assert exporter.stop()


def attributes(point: Any) -> dict[str, Any]:
    return {pair.key: pair.value.int_value or pair.value.string_value for pair in point.attributes}


def values(points: Any) -> dict[tuple[tuple[str, Any], ...], float]:
    return {tuple(sorted(attributes(point).items())): point.as_double for point in points}


POOL = ("db.client.connection.pool.name", "interactive")


def export_once(collector: Collector, exporter: OtlpExporter) -> dict[str, Any]:
    before = len(collector.requests)
    exporter.tick()
    wait_until(lambda: len(collector.requests) > before)
    return collector.metrics()


COLLECTED = {
    CALLS.name: {"birds": 3},
    RECORDS.name: {LABEL_SEPARATOR.join(("birds", "new")): 5},
    BLOCKING_CALLS.name: {"sleeping": 1},
}


def test_a_collector_gets_opentelemetrys_names_with_units_values_and_attributes(
    directory: FleetDirectory, collector: Collector, make_exporter: MakeExporter
) -> None:
    with several(directory.path, 2) as processes:
        for process in processes:
            process.do("say", counted(3, 0.5, [1, 1, 4]) | {"tallies": COLLECTED}, now(2, oldest=0.25))
        metrics = export_once(collector, make_exporter())
    units = {name: metric.unit for name, metric in metrics.items()}
    assert units == dict(METRIC_NAMES.values())
    connections = metrics["db.client.connection.count"]
    assert connections.sum.aggregation_temporality == CUMULATIVE
    assert not connections.sum.is_monotonic
    assert values(connections.sum.data_points) == {
        (POOL, ("db.client.connection.state", "idle")): 2,
        (POOL, ("db.client.connection.state", "used")): 4,
    }
    assert values(metrics["db.client.connection.max"].sum.data_points) == {(POOL,): 8}
    assert values(metrics["db.client.connection.idle.max"].sum.data_points) == {(POOL,): 8}
    assert values(metrics["db.client.connection.idle.min"].sum.data_points) == {(POOL,): 2}
    assert values(metrics["db.client.connection.pending_requests"].sum.data_points) == {(POOL,): 4}
    assert values(metrics["db.client.connection.timeouts"].sum.data_points) == {(POOL,): 2}
    assert metrics["db.client.connection.timeouts"].sum.is_monotonic
    closed = values(metrics["poolproof.pool.closed"].sum.data_points)
    assert (closed[(POOL, ("reason", "age"))], closed[(POOL, ("reason", "lost"))]) == (2, 0)
    assert values(metrics["poolproof.pool.oldest_wait"].gauge.data_points) == {(POOL,): 0.25}
    assert values(metrics["poolproof.processes"].gauge.data_points) == {(("kind", "worker"),): 2}
    assert values(metrics["poolproof.requests"].sum.data_points) == {(): 6}
    assert values(metrics["poolproof.collector.calls"].sum.data_points) == {(("source", "birds"),): 6}


def test_histograms_are_cumulative_in_time_and_each_bucket_is_for_itself(
    directory: FleetDirectory, collector: Collector, make_exporter: MakeExporter
) -> None:
    with several(directory.path, 2) as processes:
        for process in processes:
            process.do("say", counted(3, 0.75, [1, 1, 4, 500]), now(0))
        metrics = export_once(collector, make_exporter())
    for name in ("db.client.connection.use_time", "http.server.request.duration", "poolproof.group_commit.entries"):
        assert metrics[name].histogram.aggregation_temporality == CUMULATIVE
        for point in metrics[name].histogram.data_points:
            assert sum(point.bucket_counts) == point.count > 0
            assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
            assert list(point.explicit_bounds) == sorted(point.explicit_bounds)
            assert not point.HasField("min")
            assert 0 < point.start_time_unix_nano <= point.time_unix_nano <= time.time_ns()
    (entries,) = metrics["poolproof.group_commit.entries"].histogram.data_points
    assert (entries.count, entries.sum) == (8, 1012)
    assert dict(zip(entries.explicit_bounds, entries.bucket_counts, strict=False)) == {
        **dict.fromkeys([2.0**power for power in range(10)], 0),
        1.0: 4,
        4.0: 2,
        512.0: 2,
    }
    (use,) = metrics["db.client.connection.use_time"].histogram.data_points
    assert (use.count, use.sum) == (6, 4.5)


def test_requests_have_their_method_route_and_status(
    directory: FleetDirectory, collector: Collector, make_exporter: MakeExporter
) -> None:
    with several(directory.path, 1) as (process,):
        tree = counted(2, 0.25, [1])
        tree["requests"]["routes"]["GET unmatched 404"] = {"counts": [1], "total": 0.0}
        process.do("say", tree, now(0))
        metrics = export_once(collector, make_exporter())
    counts = {
        tuple(sorted(attributes(point).items())): point.count
        for point in metrics["http.server.request.duration"].histogram.data_points
    }
    assert counts == {
        (("http.request.method", "GET"), ("http.response.status_code", 200), ("http.route", "/quizzes/<slug>")): 2,
        (
            ("error.type", "503"),
            ("http.request.method", "POST"),
            ("http.response.status_code", 503),
            ("http.route", "/a rule/with blanks"),
        ): 1,
        (("http.request.method", "GET"), ("http.response.status_code", 404)): 1,
    }


def test_every_metric_of_the_fleet_has_a_name_for_opentelemetry(directory: FleetDirectory) -> None:
    with several(directory.path, 1) as (process,):
        process.do("say", counted(1, 0.1, [1]), now(0))
        assert {family.name for family in fleet_families(directory.snapshot(), 1)} == set(METRIC_NAMES)


def test_a_pool_without_a_limit_has_none_to_tell(
    directory: FleetDirectory, collector: Collector, make_exporter: MakeExporter
) -> None:
    with several(directory.path, 1) as (process,):
        process.do("say", counted(1, 0.1, [1]), now(0, most=None))
        assert not export_once(collector, make_exporter())["db.client.connection.max"].sum.data_points


def test_the_resource_names_the_service_and_the_machine(
    directory: FleetDirectory, collector: Collector, make_exporter: MakeExporter
) -> None:
    directory.path.mkdir()
    export_once(collector, make_exporter())
    resource = {
        pair.key: pair.value.string_value for pair in collector.requests[-1].resource_metrics[0].resource.attributes
    }
    assert (resource["service.name"], resource["host.name"], resource["telemetry.sdk.language"]) == (
        "poolproof",
        "here",
        "python",
    )


def test_the_counting_has_one_beginning_whoever_leads(directory: FleetDirectory) -> None:
    directory.path.mkdir()
    starts = set()
    for _ in range(2):
        exporter = OtlpExporter("http://127.0.0.1:1/", 15, directory, 1, "here")
        (scope,) = exporter.metrics_data(Resource({})).resource_metrics[0].scope_metrics
        starts |= {point.start_time_unix_nano for metric in scope.metrics for point in metric.data.data_points}
    assert len(starts) == 1


def test_it_is_sent_once_each_time_it_is_due(
    directory: FleetDirectory, collector: Collector, make_exporter: MakeExporter
) -> None:
    directory.path.mkdir()
    exporter, ends_at = make_exporter(seconds=0.5), time.monotonic() + 1.8
    while time.monotonic() < ends_at:
        exporter.tick()
        time.sleep(0.01)
    exporter.stop()
    assert 2 <= len(collector.requests) <= 4


def test_a_slow_collector_delays_nobody(
    directory: FleetDirectory, collector: Collector, make_exporter: MakeExporter
) -> None:
    directory.path.mkdir()
    collector.may_reply.clear()
    exporter = make_exporter(seconds=0.1)
    for _ in range(10):
        exporter.tick()
        time.sleep(0.05)
    assert collector.requests == [], "each tick has returned while the first export still waits"
    collector.may_reply.set()
    wait_until(lambda: len(collector.requests) >= 1)


@pytest.mark.parametrize("status", [400, 503])
def test_a_collector_that_refuses_is_tried_again_and_told_of_once(
    directory: FleetDirectory, collector: Collector, make_exporter: MakeExporter, status: int
) -> None:
    directory.path.mkdir()
    event_log.drain()
    collector.status = status
    exporter = make_exporter(seconds=0.2)

    def tick_until(count: int) -> None:
        deadline = time.monotonic() + SOON
        while len(collector.requests) < count:
            assert time.monotonic() < deadline
            exporter.tick()
            time.sleep(0.02)

    tick_until(3)
    collector.status = 200
    tick_until(len(collector.requests) + 2)
    exporter.stop()
    sentences = [event["sentence"] for event in event_log.drain() if event["kind"] == "otlp"]
    assert sentences == [
        "The OpenTelemetry collector does not accept the metrics; it is retried.",
        "The OpenTelemetry collector accepts the metrics again.",
    ]


def test_a_collector_that_is_not_there_harms_nobody(directory: FleetDirectory) -> None:
    directory.path.mkdir()
    event_log.drain()
    exporter = OtlpExporter("http://127.0.0.1:9/v1/metrics", 0.2, directory, 1, "here")
    exporter.tick()
    wait_until(lambda: not exporter._is_accepted)
    assert exporter.stop()


def settings_with(tmp_path: Path, **service: Any) -> Settings:
    settings = make_settings(f"sqlite:///{tmp_path / 'otlp.sqlite'}", tmp_path)
    changed = ServiceSettings.model_validate({**settings.poolproof.model_dump(), **service})
    return settings.model_copy(update={"poolproof": changed})


def test_an_app_sends_while_it_leads_its_fleet(tmp_path: Path, collector: Collector) -> None:
    app = create_app(settings_with(tmp_path, otlp_endpoint=collector.url, otlp_interval=0.3))
    agent = app.extensions["pooling"].fleet_agent
    agent.start("worker", 1)
    try:
        wait_until(lambda: len(collector.requests) >= 2)
        assert values(collector.metrics()["poolproof.processes"].gauge.data_points) == {(("kind", "worker"),): 1}
    finally:
        agent.stop()
        assert app.extensions["otlp_exporter"].stop()
    for lane in app.extensions["pooling"].lanes:
        lane.engine.dispose()


def test_without_an_endpoint_nothing_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "webapp.console.otlp")
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    create_app(settings_with(tmp_path))
    assert "webapp.console.otlp" not in sys.modules


def test_an_endpoint_without_the_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "webapp.console.otlp")
    for name in [name for name in sys.modules if name.startswith("opentelemetry.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(SettingsError, match="pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"):
        create_app(settings_with(tmp_path, otlp_endpoint="http://127.0.0.1:4318/v1/metrics"))


@pytest.mark.parametrize("endpoint", ["collector:4318", "ftp://collector", "http://", "http:///v1/metrics"])
def test_an_endpoint_that_is_no_address_is_refused(tmp_path: Path, endpoint: str) -> None:
    with pytest.raises(ValueError, match="is no address"):
        settings_with(tmp_path, otlp_endpoint=endpoint)
