"""Poolproof's own service, started by the sweep with the settings to be measured, and visited as in a push."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx

from webapp.lab import witness
from webapp.lab.direct import until, witness_of
from webapp.lab.figures import Load, Measured, Setting, summed_up
from webapp.lab.push import Plan
from webapp.lab.services.processes import HOST, free_port
from webapp.lab.services.service_process import Recipe, Served, served
from webapp.lab.ungrouped import WSGI
from webapp.lab.visitors import Crowd, Visitors
from webapp.pooling.settings import PoolSettings
from webapp.settings import HOME, environment_for_child

ANSWERS_WITHIN = 10.0
SOON = 0.3
USED = re.compile(r'^db_client_connection_use_time_seconds_sum\{[^}]*="interactive"[^}]*\} (\S+)', re.MULTILINE)
STEPS = 4
"""Open, start, finish and board; beside the answers."""


class Product:
    """The service, measured from outside."""

    settles = 1.0
    """Seconds: the first requests of a worker that has just started are slow."""
    overhead = 5.0 + settles
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
        try:
            # The first start makes the tables, by the way in which it is always done.
            with self._serving(Setting(1, 1), "-m", "webapp", "serve") as service:
                self._plan = _plan(service.port)
        except BaseException:
            # Ctrl-C, too: nobody has this object yet who could close it.
            self.close()
            raise

    def measure(self, setting: Setting, load: Load) -> Measured:
        """Start the service with this setting, measure one run, and stop it."""
        app = "wsgi:app" if setting.is_grouped else "ungrouped_wsgi:app"
        config = ("--config", str(HOME / "gunicorn.conf.py"), "--pythonpath", f"{HOME},{self._folder.name}")
        with self._serving(setting, "-m", "gunicorn", *config, app) as service:
            return self._measure(service, setting, load)

    def close(self) -> None:
        """Stop everything."""
        self._visitors.close()
        self._work.engine.dispose()
        self._folder.cleanup()

    def _measure(self, service: Served, setting: Setting, load: Load) -> Measured:
        starts_at = time.monotonic() + SOON
        plan = Plan(HOST, service.port, *self._plan, starts_at, 0.0, 0.0, retries=False)
        visits = (load.rate or 0.0) / (STEPS + len(plan.items))
        started = self._visitors.begin(Crowd(plan, load, self._clients, visits))
        pids = witness.children(service.pid)
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

    @contextmanager
    def _serving(self, setting: Setting, *command: str) -> Iterator[Served]:
        port, self._console = free_port(), free_port()
        variables = {
            "DATABASE_URL": self._url,
            "POOLPROOF_INSTANCE": self._folder.name,
            "POOLPROOF_BIND": f"{HOST}:{port}",
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
        recipe = Recipe("The service", [sys.executable, *command], environment_for_child(**variables))
        with served(recipe, Path(self._folder.name), port) as service:
            yield service


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
