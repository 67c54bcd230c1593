"""An application of somebody else under Gunicorn's own gthread: all workers are seen, with and without our hooks."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from poolproof.fleet.registry import FleetDirectory
from tests.support import PROJECT
from tests.support.waiting import wait_until

HOOKS = """
def post_worker_init(worker):
    from poolproof.integrations import gunicorn_hooks
    gunicorn_hooks.post_worker_init(worker)

def worker_exit(server, worker):
    from poolproof.integrations import gunicorn_hooks
    gunicorn_hooks.worker_exit()
"""
SITE = """
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import text
from poolproof import Poolproof, console_blueprint, metrics_blueprint

app = Flask(__name__, instance_path={instance!r})
app.config["SQLALCHEMY_DATABASE_URI"] = {url!r}
app.config["SQLALCHEMY_ENGINE_OPTIONS"] = dict(pool_size=2, max_overflow=0)
db = SQLAlchemy(app)
Poolproof(app, db)
app.register_blueprint(metrics_blueprint())
app.register_blueprint(console_blueprint(lambda: True))

@app.get("/")
def home():
    return str(db.session.execute(text("SELECT 1")).scalar_one())
"""
WORKERS = 2


@dataclass
class RunningApp:
    """A running application, and the folder that it is started in."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as response:
            return str(response.read().decode())

    def flask(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "flask", "--app", "site_of_another", "pool", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=environment(), capture_output=True, text=True, check=False)
        return done.stdout + done.stderr


def environment() -> dict[str, str]:
    path = os.pathsep.join((str(PROJECT / "webapp" / "pooling" / "src"), os.environ.get("PYTHONPATH", "")))
    return {**os.environ, "PYTHONPATH": path}


@pytest.fixture(params=["hooks", "no hooks"])
def served(
    request: pytest.FixtureRequest, tmp_path: Path, database: str, new_schema: Callable[[str, str], str]
) -> Iterator[RunningApp]:
    url = new_schema(database, "adopted_fleet")
    (tmp_path / "site_of_another.py").write_text(SITE.format(url=url, instance=str(tmp_path / "instance")))
    (tmp_path / "conf.py").write_text(HOOKS if request.param == "hooks" else "")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "-c", "conf.py", "-b", f"127.0.0.1:{port}", "-k", "gthread"]
    command += ["--threads", "4", "-w", str(WORKERS), "--no-control-socket", "site_of_another:app"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=log, stderr=log)
    served = RunningApp(tmp_path, port, process)
    yield served
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0, (tmp_path / "log").read_text()


def metrics(served: RunningApp) -> str:
    with suppress(urllib.error.URLError, ConnectionError):
        return served.get("/metrics")
    return ""


@pytest.mark.slow("starts Gunicorn, and the application anew for each of its commands")
def test_all_workers_are_seen_on_the_command_line_in_the_metrics_and_on_the_page(served: RunningApp) -> None:
    # Without hooks a worker takes part from its first request on.
    wait_until(lambda: f'poolproof_processes{{kind="worker"}} {WORKERS}\n' in metrics(served))
    wait_until(lambda: 'db_client_connection_max{db_client_connection_pool_name="default"} 4\n' in metrics(served))
    numbers = set(re.findall(r"^worker (\d+)$", served.flask("status"), re.MULTILINE))
    page = served.get("/pools")
    assert len(numbers) == WORKERS
    assert all(number in page for number in numbers)
    assert re.search("2 workers × 2 connections|no limit of connections", served.flask("doctor"))
    served.process.send_signal(signal.SIGTERM)
    served.process.wait(60)
    (machine,) = (served.folder / "instance" / "poolproof").iterdir()
    directory = FleetDirectory(machine)
    # None of them is taken for crashed.
    assert (directory.snapshot().members, directory.crashed()) == ([], [])
