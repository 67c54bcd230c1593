"""Poolproof's own service, started by the sweep with the settings to be measured, and visited as in a push."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import httpx

from webapp.lab import witness
from webapp.lab.direct import until, witness_of
from webapp.lab.figures import Load, Measured, Setting, summed_up
from webapp.lab.push import Plan
from webapp.lab.serving import HOST, free_port
from webapp.lab.ungrouped import WSGI
from webapp.lab.visitors import Crowd, Visitors
from webapp.pooling.settings import PoolSettings
from webapp.settings import HOME, environment_for_child

STARTS_WITHIN = 60.0
STOPS_WITHIN = 40.0
ANSWERS_WITHIN = 10.0
SOON = 0.3
OK = 200
USED = re.compile(r'^db_client_connection_use_time_seconds_sum\{[^}]*="interactive"[^}]*\} (\S+)', re.MULTILINE)
STEPS = 4
"""Open, start, finish and board; beside the answers."""


class ServiceError(Exception):
    """The service did not start; the text ends with its log."""


class Product:
    """The service, measured from outside."""

    overhead = 5.0
    """Seconds that a run takes beside what is measured: most of them, to start Gunicorn."""

    def __init__(self, url: str, pool: PoolSettings, clients: int = 64, processes: int = 1) -> None:
        """Make the tables and the starter quiz in this schema."""
        self._url = url
        self._clients = clients
        self._folder = tempfile.TemporaryDirectory(prefix="poolproof-lab-")
        (Path(self._folder.name) / "ungrouped_wsgi.py").write_text(WSGI, encoding="utf-8")
        self._work = witness_of(url, pool)
        self._server = witness.server_process(self._work)
        self._visitors = Visitors(processes)
        self._running: subprocess.Popen[bytes] | None = None
        self._port = self._console = 0
        try:
            # The first start makes the tables, by the way in which it is always done.
            self._start(Setting(1, 1), "-m", "webapp", "serve")
            self._plan = _plan(self._port)
            self._stop()
        except BaseException:
            # Ctrl-C, too: nobody has this object yet who could close it.
            self.close()
            raise

    def measure(self, setting: Setting, load: Load) -> Measured:
        """Start the service with this setting, measure one run, and stop it."""
        app = "wsgi:app" if setting.is_grouped else "ungrouped_wsgi:app"
        config = ("--config", str(HOME / "gunicorn.conf.py"), "--pythonpath", f"{HOME},{self._folder.name}")
        self._start(setting, "-m", "gunicorn", *config, app)
        try:
            return self._measure(setting, load)
        finally:
            self._stop()

    def close(self) -> None:
        """Stop everything."""
        self._stop()
        self._visitors.close()
        self._work.engine.dispose()
        self._folder.cleanup()

    def _measure(self, setting: Setting, load: Load) -> Measured:
        starts_at = time.monotonic() + SOON
        plan = Plan(HOST, self._port, *self._plan, starts_at, 0.0, 0.0, retries=False)
        visits = (load.rate or 0.0) / (STEPS + len(plan.items))
        started = self._visitors.begin(Crowd(plan, load, self._clients, visits))
        pids = witness.children(self._running.pid) if self._running else []
        clients = witness.children(os.getpid())
        until(starts_at + load.warm_up)
        before, used_before = witness.look(self._work, pids, self._server, clients), _used(self._console)
        until(starts_at + load.warm_up + load.seconds)
        after, used = witness.look(self._work, pids, self._server, clients), _used(self._console)
        shares = [one.result() for one in started]
        timed = [one for some, _ in shares for one in some]
        seen = witness.between(before, after, setting, setting.threads, None)
        cpu = max(share for _, share in shares)
        found = summed_up(setting, load, timed, starts_at, clients=self._clients, seen=seen, client_cpu=cpu)
        # As the service itself counts: a request may use no connection, and one write serves many.
        return replace(found, hold=(used - used_before) / max(1.0, found.throughput * (after.at - before.at)))

    def _start(self, setting: Setting, *command: str) -> None:
        self._port, self._console = free_port(), free_port()
        variables = {
            "DATABASE_URL": self._url,
            "POOLPROOF_INSTANCE": self._folder.name,
            "POOLPROOF_BIND": f"{HOST}:{self._port}",
            "POOLPROOF_CONSOLE_BIND": f"{HOST}:{self._console}",
            "POOLPROOF_WORKERS": str(setting.workers),
            "POOLPROOF_THREADS": str(setting.threads),
            "POOLPROOF_WRITES_PER_SECOND": "0",
            "POOLPROOF_COLLECTORS": "0",
            "POOLPROOF_OTLP_ENDPOINT": "",
            "POOL_SIZE": str(setting.pool),
            "POOL_KEEP": "1",
            "POOL_CHECK": "off",
        }
        log = Path(self._folder.name) / "log"
        with log.open("wb") as output:
            # In a session of its own: Ctrl-C is for the sweep.
            self._running = subprocess.Popen(  # noqa: S603 - our own service
                [sys.executable, *command], cwd=HOME, env=environment_for_child(**variables),
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        self._wait(log)

    def _wait(self, log: Path) -> None:
        ends_at = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < ends_at and self._running is not None and self._running.poll() is None:
            with suppress(httpx.HTTPError):
                if _ask(self._port, "/healthz").status_code == OK:
                    return
            time.sleep(0.1)
        self._stop()
        raise ServiceError(f"The service did not start; its log ends:\n{log.read_text(errors='replace')[-2000:]}")

    def _stop(self) -> None:
        if self._running is None:
            return
        self._running.terminate()
        try:
            self._running.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            self._running.kill()
            self._running.wait()
        self._running = None


def _ask(port: int, path: str) -> httpx.Response:
    """Ask the service, in this thread and without a loop of events: the caller may have one that runs."""
    return httpx.get(f"http://{HOST}:{port}{path}", timeout=ANSWERS_WITHIN, trust_env=False)


def _used(port: int) -> float:
    """Return how many seconds the interactive connections of all workers have been in use so far."""
    return sum(float(found) for found in USED.findall(_ask(port, "/metrics").text))


def _plan(port: int) -> tuple[str, int, list[tuple[int, int]]]:
    """Return the starter quiz: its slug, its id, and each question's item with how many choices it has."""
    quiz = _ask(port, "/api/v1/quizzes?limit=1").json()["quizzes"][0]
    found = _ask(port, f"/api/v1/quizzes/{quiz['id']}").json()
    return quiz["slug"], quiz["id"], [(one["item"], len(one["choices"])) for one in found["questions"]]
