"""What /metrics gives is in docs/metrics.md; the dashboard and the alerts name nothing that it does not give."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import create_engine, make_url, text

from poolproof.core.stats import RequestStatistics
from poolproof.engine import engine_options
from poolproof.fleet import process_snapshot
from poolproof.fleet.fleet_metrics import fleet_families
from poolproof.fleet.registry import FleetSnapshot, Member
from poolproof.integrations import flask_ext  # noqa: F401 - so does it
from poolproof.lanes import open_lanes
from poolproof.metrics import counters
from poolproof.metrics.metrics import MetricFamily
from poolproof.settings import PoolSettings
from poolproof.transactions.group_commit import GroupCommit
from webapp.collector import http_fetcher, run_store  # noqa: F401 - they declare what they count

DOCS = Path(__file__).resolve().parents[2] / "docs"
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| (.+) \| (.*)\|$", re.MULTILINE)
PARTS = {"histogram": ("_bucket", "_sum", "_count")}
PROMETHEUS_OWN = {"job", "instance", "le"}
WORDS = {"and", "or", "unless", "offset"}


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> dict[str, MetricFamily]:
    """Everything that /metrics gives for a process that has a sample of each."""
    url = make_url(f"sqlite:///{tmp_path_factory.mktemp('metrics') / 'metrics.sqlite'}")
    settings = PoolSettings(size=2)
    lanes = open_lanes(create_engine(url, **engine_options(settings, url, threads=2)), settings)
    with lanes.interactive.engine.connect() as one, lanes.interactive.engine.connect():
        one.execute(text("SELECT 1"))
    for lane in lanes:
        lane.engine.dispose()
    requests = RequestStatistics()
    requests.record_response("GET", "/", 200, 0.01)
    writer = GroupCommit[int, int]("metrics", write=list, timeout=5.0)
    writer.submit(1)
    writer.stop()
    counted = {
        "lanes": process_snapshot.lane_counters(lanes),
        "requests": process_snapshot.request_counters(requests),
        "commits": {"metrics": process_snapshot.commit_counters()["metrics"]},
        "tallies": {one.name: {counters.LABEL_SEPARATOR.join(one.labels): 1} for one in counters.declared_counters()},
    }
    now = {"lanes": process_snapshot.lane_states(lanes), "commits": {"metrics": {"waiting": 0}}}
    seen = FleetSnapshot([Member("1", {"name": "worker"}, counted, now, 0.0)], counted)
    return {family.name: family for family in fleet_families(seen, min_idle=1)}


def labels_of(family: MetricFamily) -> set[str]:
    return {label for _, labels, _ in family.samples for label in labels} - {"le"}


def documented() -> dict[str, tuple[str, set[str]]]:
    """Each metric of the page with its type and labels; what stands in brackets are values."""
    rows = ROW.findall((DOCS / "metrics.md").read_text())
    assert len(rows) == len({name for name, *_ in rows})
    return {name: (kind, set(re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", labels)))) for name, kind, _, labels in rows}


def test_every_metric_is_documented_with_its_type_and_labels(families: dict[str, MetricFamily]) -> None:
    assert documented() == {name: (family.kind, labels_of(family)) for name, family in families.items()}


def test_a_fleet_that_has_counted_nothing_yet_has_the_same_metrics(families: dict[str, MetricFamily]) -> None:
    assert {family.name for family in fleet_families(FleetSnapshot(), min_idle=1)} == set(families)


def expressions() -> Iterator[tuple[str, str]]:
    """Each query of the dashboard and of the alerts, with the name of what shows it."""
    dashboard: dict[str, Any] = json.loads((DOCS / "grafana-dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for variable in dashboard["templating"]["list"]:
        if found := re.fullmatch(r"label_values\((.*), \w+\)", variable.get("definition", "")):
            yield variable["name"], found[1]
    for alert in alerts():
        yield alert["alert"], alert["expr"]


def alerts() -> list[dict[str, Any]]:
    rules: dict[str, Any] = yaml.safe_load((DOCS / "alerts.yml").read_text())
    return [rule for group in rules["groups"] for rule in group["rules"]]


def metrics_in(expression: str) -> set[str]:
    without_labels = re.sub(r"\{.*?\}|\[.*?\]|\b(by|without|on|ignoring)\s*\(.*?\)", " ", expression, flags=re.DOTALL)
    return set(re.findall(r"\b[a-z_]\w*\b(?!\s*\()", without_labels)) - WORDS


def labels_in(expression: str) -> set[str]:
    selected = " ".join(re.findall(r"\{(.*?)\}", expression, re.DOTALL))
    grouped = " ".join(re.findall(r"\b(?:by|without|on|ignoring)\s*\((.*?)\)", expression, re.DOTALL))
    return {*re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selected), *re.findall(r"\w+", grouped)}


def test_the_dashboard_and_the_alerts_ask_for_metrics_that_there_are(families: dict[str, MetricFamily]) -> None:
    given = {name + part for name, family in families.items() for part in PARTS.get(family.kind, ("",))}
    labels = {label for family in families.values() for label in labels_of(family)} | PROMETHEUS_OWN
    asked = list(expressions())
    assert len(asked) > 20
    for shown, expression in asked:
        assert metrics_in(expression), shown
        assert metrics_in(expression) <= given, shown
        assert labels_in(expression) <= labels, shown


def test_the_dashboard_is_for_whichever_prometheus_its_reader_has() -> None:
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text())
    assert [one["query"] for one in dashboard["templating"]["list"] if one["type"] == "datasource"] == ["prometheus"]
    used = {panel["datasource"]["uid"] for panel in dashboard["panels"] if panel["type"] != "row"}
    assert used == {"${datasource}"}
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_every_alert_says_what_it_is_and_where_to_read_on() -> None:
    for alert in alerts():
        assert alert["annotations"]["summary"], alert["alert"]
        page = re.search(r"docs/([\w-]+\.md)", alert["annotations"]["description"])
        assert page, alert["alert"]
        content = (DOCS / page[1]).read_text()
        for section in re.findall(r'docs/[\w-]+\.md,\s+"(.+?)"', alert["annotations"]["description"]):
            assert f"## {section}\n" in content, alert["alert"]
