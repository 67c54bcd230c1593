"""What the lab starts is stopped again, and what does not start says why."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from webapp.lab.services.processes import free_port
from webapp.lab.services.service_process import NotServingError, ServiceSpec, run_service

FILES = (sys.executable, "-m", "http.server", "{port}", "--bind", "127.0.0.1")


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_service_answers_during_the_block_and_is_gone_after_it(tmp_path: Path) -> None:
    port = free_port()
    with run_service(ServiceSpec("Files", FILES, os.environ, ready_path="/"), tmp_path / "new", port) as service:
        assert (service.title, service.port, answers(port)) == ("Files", port, True)
        assert "GET / HTTP" in service.log.read_text()
    assert not answers(port)


def test_a_service_is_stopped_when_the_block_fails(tmp_path: Path) -> None:
    port = free_port()
    with (
        pytest.raises(ZeroDivisionError),
        run_service(ServiceSpec("Files", FILES, os.environ, ready_path="/"), tmp_path, port),
    ):
        raise ZeroDivisionError
    assert not answers(port)


def test_a_service_that_does_not_start_says_what_its_log_says(tmp_path: Path) -> None:
    spec = ServiceSpec("Nothing", (sys.executable, "-c", "raise SystemExit('no such thing')"), os.environ)
    with (
        pytest.raises(NotServingError, match=r"(?s)Nothing did not start.*no such thing"),
        run_service(spec, tmp_path, free_port()),
    ):
        pass
