"""A real collector's place: an HTTP server that decodes what OpenTelemetry's SDK sends."""

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
    """What was sent to it, decoded; it may be slow, or refuse."""

    def __init__(self) -> None:
        self.got: list[ExportMetricsServiceRequest] = []
        self.status = 200
        self.go_on = threading.Event()
        self.go_on.set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                assert self.path == "/v1/metrics"
                assert self.headers["Content-Type"] == "application/x-protobuf"
                collector.go_on.wait(SOON)
                collector.got.append(ExportMetricsServiceRequest.FromString(body))
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
        self.go_on.set()
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()

    def metrics(self) -> dict[str, Any]:
        """Return what was sent last, by name."""
        (resource,) = self.got[-1].resource_metrics
        (scope,) = resource.scope_metrics
        assert scope.scope.name == "poolproof"
        found = {metric.name: metric for metric in scope.metrics}
        assert len(found) == len(scope.metrics)
        return found


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.stop()


@pytest.fixture
def folder(tmp_path: Path) -> FleetDirectory:
    return FleetDirectory(tmp_path / "fleet")


Make = Callable[..., OtlpExporter]


@pytest.fixture
def push_to(folder: FleetDirectory, collector: Collector) -> Iterator[Make]:
    made: list[OtlpExporter] = []

    def make(seconds: float = 3600.0) -> OtlpExporter:
        made.append(OtlpExporter(collector.url, seconds, folder, min_idle=1, machine="here"))
        return made[-1]

    yield make
    collector.go_on.set()
    for one in made:
        assert one.stop()


def attributes(point: Any) -> dict[str, Any]:
    return {one.key: one.value.int_value or one.value.string_value for one in point.attributes}


def values(points: Any) -> dict[tuple[tuple[str, Any], ...], float]:
    return {tuple(sorted(attributes(point).items())): point.as_double for point in points}


POOL = ("db.client.connection.pool.name", "interactive")


def sent(collector: Collector, push: OtlpExporter) -> dict[str, Any]:
    before = len(collector.got)
    push.tick()
    wait_until(lambda: len(collector.got) > before)
    return collector.metrics()


COLLECTED = {CALLS.name: {"birds": 3}, RECORDS.name: {LABEL_SEPARATOR.join(("birds", "new")): 5}}


def test_a_collector_gets_opentelemetrys_names_with_units_values_and_attributes(
    folder: FleetDirectory, collector: Collector, push_to: Make
) -> None:
    with several(folder.path, 2) as processes:
        for one in processes:
            one.do("say", counted(3, 0.5, [1, 1, 4]) | {"tallies": COLLECTED}, now(2, oldest=0.25))
        metrics = sent(collector, push_to())
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
    folder: FleetDirectory, collector: Collector, push_to: Make
) -> None:
    with several(folder.path, 2) as processes:
        for one in processes:
            one.do("say", counted(3, 0.75, [1, 1, 4, 500]), now(0))
        metrics = sent(collector, push_to())
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
    folder: FleetDirectory, collector: Collector, push_to: Make
) -> None:
    with several(folder.path, 1) as (one,):
        tree = counted(2, 0.25, [1])
        tree["requests"]["routes"]["GET unmatched 404"] = {"counts": [1], "total": 0.0}
        one.do("say", tree, now(0))
        metrics = sent(collector, push_to())
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


def test_every_metric_of_the_fleet_has_a_name_for_opentelemetry(folder: FleetDirectory) -> None:
    with several(folder.path, 1) as (one,):
        one.do("say", counted(1, 0.1, [1]), now(0))
        assert {family.name for family in fleet_families(folder.snapshot(), 1)} == set(METRIC_NAMES)


def test_a_pool_without_a_limit_has_none_to_tell(folder: FleetDirectory, collector: Collector, push_to: Make) -> None:
    with several(folder.path, 1) as (one,):
        one.do("say", counted(1, 0.1, [1]), now(0, most=None))
        assert not sent(collector, push_to())["db.client.connection.max"].sum.data_points


def test_the_resource_names_the_service_and_the_machine(
    folder: FleetDirectory, collector: Collector, push_to: Make
) -> None:
    folder.path.mkdir()
    sent(collector, push_to())
    named = {one.key: one.value.string_value for one in collector.got[-1].resource_metrics[0].resource.attributes}
    assert (named["service.name"], named["host.name"], named["telemetry.sdk.language"]) == (
        "poolproof",
        "here",
        "python",
    )


def test_the_counting_has_one_beginning_whoever_leads(folder: FleetDirectory) -> None:
    folder.path.mkdir()
    begins = set()
    for _ in range(2):
        push = OtlpExporter("http://127.0.0.1:1/", 15, folder, 1, "here")
        (scope,) = push.metrics_data(Resource({})).resource_metrics[0].scope_metrics
        begins |= {point.start_time_unix_nano for metric in scope.metrics for point in metric.data.data_points}
    assert len(begins) == 1


def test_it_is_sent_once_each_time_it_is_due(folder: FleetDirectory, collector: Collector, push_to: Make) -> None:
    folder.path.mkdir()
    push, ends_at = push_to(seconds=0.5), time.monotonic() + 1.8
    while time.monotonic() < ends_at:
        push.tick()
        time.sleep(0.01)
    push.stop()
    assert 2 <= len(collector.got) <= 4


def test_a_slow_collector_delays_nobody(folder: FleetDirectory, collector: Collector, push_to: Make) -> None:
    folder.path.mkdir()
    collector.go_on.clear()
    push = push_to(seconds=0.1)
    for _ in range(10):
        push.tick()
        time.sleep(0.05)
    assert collector.got == [], "all ten have come back while the first still waits"
    collector.go_on.set()
    wait_until(lambda: len(collector.got) >= 1)


@pytest.mark.parametrize("status", [400, 503])
def test_a_collector_that_refuses_is_tried_again_and_told_of_once(
    folder: FleetDirectory, collector: Collector, push_to: Make, status: int
) -> None:
    folder.path.mkdir()
    event_log.drain()
    collector.status = status
    push = push_to(seconds=0.2)

    def ticks_until(count: int) -> None:
        deadline = time.monotonic() + SOON
        while len(collector.got) < count:
            assert time.monotonic() < deadline
            push.tick()
            time.sleep(0.02)

    ticks_until(3)
    collector.status = 200
    ticks_until(len(collector.got) + 2)
    push.stop()
    said = [one["sentence"] for one in event_log.drain() if one["kind"] == "otlp"]
    assert said == [
        "The OpenTelemetry collector does not accept the metrics; it is retried.",
        "The OpenTelemetry collector accepts the metrics again.",
    ]


def test_a_collector_that_is_not_there_harms_nobody(folder: FleetDirectory) -> None:
    folder.path.mkdir()
    event_log.drain()
    push = OtlpExporter("http://127.0.0.1:9/v1/metrics", 0.2, folder, 1, "here")
    push.tick()
    wait_until(lambda: not push._is_accepted)
    assert push.stop()


def settings_with(tmp_path: Path, **service: Any) -> Settings:
    settings = make_settings(f"sqlite:///{tmp_path / 'otlp.sqlite'}", tmp_path)
    changed = ServiceSettings.model_validate({**settings.poolproof.model_dump(), **service})
    return settings.model_copy(update={"poolproof": changed})


def test_an_app_sends_while_it_leads_its_fleet(tmp_path: Path, collector: Collector) -> None:
    app = create_app(settings_with(tmp_path, otlp_endpoint=collector.url, otlp_interval=0.3))
    agent = app.extensions["pooling"].fleet_agent
    agent.start("worker", 1)
    try:
        wait_until(lambda: len(collector.got) >= 2)
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


@pytest.mark.parametrize("wrong", ["collector:4318", "ftp://collector", "http://", "http:///v1/metrics"])
def test_an_endpoint_that_is_no_address_is_refused(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ValueError, match="is no address"):
        settings_with(tmp_path, otlp_endpoint=wrong)
