"""What a Prometheus server gets is what it takes: judged by its own promtool."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import httpx
import pytest

from tests.server_programs import PROJECT, find_promtool
from tests.serving import Service, serving

ALERTS = PROJECT / "docs" / "alerts.yml"


@pytest.fixture(scope="module")
def promtool() -> tuple[str, ...]:
    return find_promtool()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("promtool")
    with serving(f"sqlite:///{folder / 'promtool.sqlite'}", folder, POOLPROOF_WORKERS="1") as service:
        for path in ("/", "/readyz", "/no-such-page", "/api/v1/quizzes"):
            httpx.get(service.address + path)
        yield service


def run(command: tuple[str, ...], *arguments: str, given: str = "") -> tuple[int, str]:
    done = subprocess.run([*command, *arguments], input=given, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_promtool_finds_nothing_to_say_about_the_metrics(service: Service, promtool: tuple[str, ...]) -> None:
    metrics = httpx.get(f"{service.console}/metrics")
    assert metrics.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'db_client_connection_max{db_client_connection_pool_name="interactive"}' in metrics.text
    assert run(promtool, "check", "metrics", given=metrics.text) == (0, "")


def test_who_asks_for_openmetrics_gets_it_to_its_end(service: Service) -> None:
    metrics = httpx.get(f"{service.console}/metrics", headers={"Accept": "application/openmetrics-text"})
    assert metrics.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert metrics.text.endswith("\n# EOF\n")
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", metrics.text, re.MULTILINE))
    counters = {name for name, kind in types.items() if kind == "counter"}
    assert "poolproof_requests" in counters
    assert not [name for name in counters if name.endswith("_total")]
    assert re.search(r"^poolproof_requests_total \d+$", metrics.text, re.MULTILINE)
    assert types["db_client_connection_count"] == "unknown"


def test_the_public_address_has_no_metrics(service: Service) -> None:
    assert httpx.get(f"{service.address}/metrics").status_code == 404


def test_promtool_takes_the_alerts(promtool: tuple[str, ...]) -> None:
    code, said = run(promtool, "check", "rules", str(ALERTS))
    assert code == 0, said
    assert "SUCCESS" in said
