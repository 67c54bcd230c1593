"""The metrics and alerts are valid for a Prometheus server: checked by its own promtool."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
import yaml

from tests.support import PROJECT
from webapp.lab.services.debian import find_promtool
from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof_service

ALERTS = PROJECT / "docs" / "alerts.yml"
MACHINE = 'job="poolproof", instance="a"'
INTERACTIVE = f'{MACHINE}, db_client_connection_pool_name="interactive"'
USED = f'db_client_connection_count{{{INTERACTIVE}, db_client_connection_state="used"}}'
MOST = f"db_client_connection_max{{{INTERACTIVE}}}"
WORKERS = f'poolproof_processes{{{MACHINE}, kind="worker"}}'
WAITS = f"db_client_connection_wait_time_seconds_bucket{{{INTERACTIVE}, le="


@pytest.fixture(scope="module")
def promtool() -> tuple[str, ...]:
    return find_promtool()


@pytest.fixture(scope="module")
def service(
    prepared_schema: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PoolproofService]:
    url, folder = prepared_schema("sqlite", "promtool"), tmp_path_factory.mktemp("promtool")
    with run_poolproof_service(url, folder, POOLPROOF_WORKERS="1") as service:
        for path in ("/", "/readyz", "/no-such-page", "/api/v1/quizzes"):
            httpx2.get(service.address + path)
        yield service


def run(command: tuple[str, ...], *arguments: str, stdin: str = "") -> tuple[int, str]:
    result = subprocess.run([*command, *arguments], input=stdin, capture_output=True, text=True, check=False)
    return result.returncode, result.stdout + result.stderr


def test_promtool_finds_nothing_to_say_about_the_metrics(service: PoolproofService, promtool: tuple[str, ...]) -> None:
    metrics = httpx2.get(f"{service.console}/metrics")
    assert metrics.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'db_client_connection_max{db_client_connection_pool_name="interactive"}' in metrics.text
    assert run(promtool, "check", "metrics", stdin=metrics.text) == (0, "")


def test_who_asks_for_openmetrics_gets_it_to_its_end(service: PoolproofService) -> None:
    metrics = httpx2.get(f"{service.console}/metrics", headers={"Accept": "application/openmetrics-text"})
    assert metrics.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert metrics.text.endswith("\n# EOF\n")
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", metrics.text, re.MULTILINE))
    counters = {name for name, kind in types.items() if kind == "counter"}
    assert "poolproof_requests" in counters
    assert not [name for name in counters if name.endswith("_total")]
    assert re.search(r"^poolproof_requests_total \d+$", metrics.text, re.MULTILINE)
    assert types["db_client_connection_count"] == "unknown"


def test_the_public_address_has_no_metrics(service: PoolproofService) -> None:
    assert httpx2.get(f"{service.address}/metrics").status_code == 404


def test_promtool_takes_the_alerts(promtool: tuple[str, ...]) -> None:
    code, output = run(promtool, "check", "rules", str(ALERTS))
    assert code == 0, output
    assert "SUCCESS" in output


@pytest.mark.parametrize(
    ("name", "changed", "firing"),
    [
        ("all is well", {}, set()),
        ("every connection is in use", {USED: "4x5 16x90"}, {"PoolproofPoolSaturated"}),
        ("a reload", {WORKERS: "2x80 4 4 3 2x20", MOST: "16x80 32 32 24 16x20"}, set()),
        ("a worker that does not come back", {WORKERS: "2x85 1x20"}, {"PoolproofWorkersMissing"}),
        ("workers that come and go", {WORKERS: "2x80 1 2 1 2 1 2 1 2 1 2"}, {"PoolproofWorkersRestarting"}),
        ("a service that is down", {WORKERS: "2x80"}, {"PoolproofAway"}),
        (
            "the first leak of all",
            {f'poolproof_pool_violations_total{{{INTERACTIVE}, kind="leaked"}}': "_x88 1x20"},
            {"PoolproofConnectionsHeldWrongly"},
        ),
        (
            "a leak a week ago",
            {f'poolproof_pool_violations_total{{{INTERACTIVE}, kind="leaked"}}': "1x100"},
            set(),
        ),
        ("shedding", {f"poolproof_pool_shed_total{{{INTERACTIVE}}}": "0x88 3x20"}, {"PoolproofRequestsTurnedAway"}),
        (
            "waits",
            {f'{WAITS}"0.25"}}': "0x100", f'{WAITS}"0.5"}}': "0+60x100", f'{WAITS}"+Inf"}}': "0+60x100"},
            {"PoolproofWaitsLong"},
        ),
    ],
)
def test_the_alerts_fire_when_they_should_and_not_otherwise(
    name: str, changed: dict[str, str], firing: set[str], promtool: tuple[str, ...], tmp_path: Path
) -> None:
    series = {
        USED: "4x100",
        MOST: "16x100",
        WORKERS: "2x100",
        f"db_client_connection_timeouts_total{{{INTERACTIVE}}}": "0x100",
        f"poolproof_pool_shed_total{{{INTERACTIVE}}}": "0x100",
        f"poolproof_pool_refused_total{{{INTERACTIVE}}}": "0x100",
        f'poolproof_group_commit_refused_total{{{MACHINE}, writer="writer"}}': "0x100",
        **changed,
    }
    fires = {
        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": "90m",
        "exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in sorted(firing)],
    }
    input_series = [{"series": metric, "values": values} for metric, values in series.items()]
    test = {"interval": "1m", "name": name, "input_series": input_series, "promql_expr_test": [fires]}
    path = tmp_path / "alerts_test.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": [test]}))
    code, output = run(promtool, "test", "rules", str(path))
    assert code == 0, output
