from __future__ import annotations

import shlex
import socket
import sys
from contextlib import closing
from pathlib import Path

import pytest

from poolproof.lab.scenario.app_process import AppProcess, AppStartError

LISTENING = "import os, socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); \
print(os.environ['POOL_SIZE'], sys.argv[2], flush=True); time.sleep(60)"


def test_an_application_gets_its_pool_and_its_port_and_is_stopped(tmp_path: Path) -> None:
    command = shlex.join([sys.executable, "-c", LISTENING]) + " {port} {pool}"
    with closing(AppProcess(command, 7, tmp_path)) as app:
        port = app.address.port
        socket.create_connection(("127.0.0.1", port)).close()
    assert (tmp_path / "app.log").read_text() == "7 7\n"
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (f"{sys.executable} -c 'print(1/0)'", "ZeroDivisionError"),
        ("no-such-program {port}", "no-such-program: there is no such program"),
    ],
)
def test_an_application_that_does_not_start_is_quoted(tmp_path: Path, command: str, sentence: str) -> None:
    with pytest.raises(AppStartError, match=sentence):
        AppProcess(command, 1, tmp_path)
