"""More connections than a process may have open files: visitors come through, and no worker dies."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from tests.support.echo_server import echo_server
from webapp.lab.services.processes import children

FILES = 64
"""How many files a worker of these tests may open."""
CONFIGURATION = f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({FILES}, {FILES}))
worker_connections = {{connections}}
"""


@pytest.mark.parametrize("connections", [FILES // 2, 1000], ids=["a limit below it", "no limit but EMFILE"])
def test_silent_connections_that_use_up_all_files_keep_nobody_out(tmp_path: Path, connections: int) -> None:
    (tmp_path / "configuration.py").write_text(CONFIGURATION.format(connections=connections))
    with ExitStack() as stack, echo_server(tmp_path, "--config", "configuration.py") as server:
        before = children(server.pid)
        for _ in range(2 * FILES):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        for _ in range(5):
            answer = httpx2.get(f"http://127.0.0.1:{server.port}/", timeout=60)
            assert answer.status_code == 200
        assert children(server.pid) == before
        log = server.log.read_text()
    assert log.count("limit of open files") <= 1
    assert "Traceback" not in log
