"""Variables that a platform sets, and those that have no effect: the service listens, or says what to do."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2

from tests.support import PROJECT
from webapp.lab.services.poolproof_service import make_environment, run_poolproof
from webapp.lab.services.processes import HOST, free_port
from webapp.lab.services.service_process import ServiceSpec, run_service


def test_the_service_listens_on_the_platforms_port_and_names_what_has_no_effect(
    prepared_schema: Callable[[str, str], str], tmp_path: Path
) -> None:
    port = free_port()
    settings = {"POOLPROOF_CONSOLE_BIND": "off", "POOLPROOF_WORKERS": "1", "PORT": str(port)}
    without_effect = {"WEB_CONCURRENCY": "7", "POOLPROF_THREADS": "3", "POOLPROOF_INSTANCE": str(tmp_path)}
    environment = make_environment(prepared_schema("sqlite", "ported"), tmp_path, **settings)
    environment = {**environment, **without_effect}
    environment.pop("POOLPROOF_WORKERS")
    spec = ServiceSpec("The service", [sys.executable, "-m", "webapp", "serve"], environment, folder=PROJECT)
    with run_service(spec, tmp_path, port) as service:
        assert httpx2.get(f"http://{HOST}:{port}/healthz").status_code == 200
        lines = [json.loads(line) for line in service.log.read_text().splitlines() if line.startswith("{")]
    notes = [line["event"] for line in lines if "has no effect" in line["event"]]
    assert [note.split()[0] for note in sorted(notes)] == ["POOLPROF_THREADS", "WEB_CONCURRENCY"]


def test_a_misspelt_setting_ends_the_start_with_the_nearest_name(tmp_path: Path) -> None:
    environment = make_environment("", tmp_path, POOLPROOF_TREADS="8", POOL_SISE="4")
    refused = run_poolproof(environment, "serve")
    assert refused.returncode == 1
    assert "POOLPROOF_TREADS is not a setting of Poolproof (is it POOLPROOF_THREADS?)" in refused.stderr
    assert "POOL_SISE is not a setting of Poolproof (is it POOL_SIZE?)" in refused.stderr
    assert "Traceback" not in refused.stderr
