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

import httpx2

from poolproof.settings import PoolSettings
from webapp.lab.loadgen.player import PushPlan
from webapp.lab.services.processes import HOST, free_port
from webapp.lab.services.service_process import RunningService, ServiceSpec, run_service
from webapp.lab.sizing import resource_sampler
from webapp.lab.sizing.load_generator import VisitLoad, VisitProcesses
from webapp.lab.sizing.measurements import LoadProfile, RunResult, Setting, summarize_run
from webapp.lab.sizing.no_group_commit import WSGI
from webapp.lab.sizing.workload_bench import create_sampler_work, sleep_until
from webapp.settings import PROJECT_ROOT, child_environment

REQUEST_TIMEOUT = 10.0
START_DELAY = 0.3
USE_TIME_PATTERN = re.compile(
    r'^db_client_connection_use_time_seconds_sum\{[^}]*="interactive"[^}]*\} (\S+)', re.MULTILINE
)
OTHER_REQUESTS_PER_VISIT = 4
"""Open, start, finish and board; beside the answers."""


class ServiceBench:
    """The service, measured from outside."""

    extra_warm_up = 1.0
    """Seconds: the first requests of a worker that has just started are slow."""
    overhead = 5.0 + extra_warm_up
    """Seconds that a run takes beside what is measured: most of them, to start Gunicorn."""

    def __init__(self, url: str, pool: PoolSettings, clients: int = 64, processes: int = 1) -> None:
        """Make the tables and the starter quiz in this schema."""
        self._database_url = url
        self._clients = clients
        self._folder = tempfile.TemporaryDirectory(prefix="poolproof-lab-")
        (Path(self._folder.name) / "ungrouped_wsgi.py").write_text(WSGI, encoding="utf-8")
        self._sampler_work = create_sampler_work(url, pool)
        self._server_pid = resource_sampler.find_server_pid(self._sampler_work)
        self._visitors = VisitProcesses(processes)
        try:
            # The first start makes the tables, by the way in which it is always done.
            with self._run_service(Setting(1, 1), "-m", "webapp", "serve") as service:
                self._quiz = _read_quiz(service.port)
        except BaseException:
            # Ctrl-C, too: nobody has this object yet who could close it.
            self.close()
            raise

    def measure(self, setting: Setting, load: LoadProfile) -> RunResult:
        """Start the service with this setting, measure one run, and stop it."""
        app = "wsgi:app" if setting.is_grouped else "ungrouped_wsgi:app"
        config = (
            "--config",
            str(PROJECT_ROOT / "gunicorn.conf.py"),
            "--pythonpath",
            f"{PROJECT_ROOT},{self._folder.name}",
        )
        with self._run_service(setting, "-m", "gunicorn", *config, app) as service:
            return self._measure(service, setting, load)

    def close(self) -> None:
        """Stop everything."""
        self._visitors.close()
        self._sampler_work.engine.dispose()
        self._folder.cleanup()

    def _measure(self, service: RunningService, setting: Setting, load: LoadProfile) -> RunResult:
        starts_at = time.monotonic() + START_DELAY
        plan = PushPlan(HOST, service.port, *self._quiz, starts_at, 0.0, 0.0, retry=False)
        visits = (load.rate or 0.0) / (OTHER_REQUESTS_PER_VISIT + len(plan.items))
        started = self._visitors.start(VisitLoad(plan, load, self._clients, visits))
        pids = resource_sampler.child_pids(service.pid)
        clients = resource_sampler.child_pids(os.getpid())
        sleep_until(starts_at + load.warm_up)
        before, used_before = (
            resource_sampler.take_sample(self._sampler_work, pids, self._server_pid, clients),
            _read_use_time(self._console_port),
        )
        sleep_until(starts_at + load.warm_up + load.seconds)
        after, used = (
            resource_sampler.take_sample(self._sampler_work, pids, self._server_pid, clients),
            _read_use_time(self._console_port),
        )
        shares = [one.result() for one in started]
        timed = [one for some, _ in shares for one in some]
        seen = resource_sampler.usage_between(before, after, setting, setting.threads, None)
        cpu = max(share for _, share in shares)
        found = summarize_run(setting, load, timed, starts_at, clients=self._clients, usage=seen, client_cpu=cpu)
        # As the service itself counts: a request may use no connection, and one write serves many.
        return replace(
            found, hold=(used - used_before) / max(1.0, found.throughput * (after.taken_at - before.taken_at))
        )

    @contextmanager
    def _run_service(self, setting: Setting, *command: str) -> Iterator[RunningService]:
        port, self._console_port = free_port(), free_port()
        variables = {
            "DATABASE_URL": self._database_url,
            "POOLPROOF_INSTANCE": self._folder.name,
            "POOLPROOF_BIND": f"{HOST}:{port}",
            "POOLPROOF_CONSOLE_BIND": f"{HOST}:{self._console_port}",
            "POOLPROOF_WORKERS": str(setting.workers),
            "POOLPROOF_THREADS": str(setting.threads),
            "POOLPROOF_PLAYER_RATE_LIMIT": "0",
            "POOLPROOF_COLLECTOR_PROCESSES": "0",
            "POOLPROOF_OTLP_ENDPOINT": "",
            "POOL_SIZE": str(setting.pool),
            "POOL_MIN_IDLE": "1",
            "POOL_BOOT_CHECK": "off",
        }
        environment = child_environment(variables, import_from=PROJECT_ROOT)
        recipe = ServiceSpec("The service", [sys.executable, *command], environment)
        with run_service(recipe, Path(self._folder.name), port) as service:
            yield service


def _get(port: int, path: str) -> httpx2.Response:
    """Ask the service, in this thread and without a loop of events: the caller may have one that runs."""
    return httpx2.get(f"http://{HOST}:{port}{path}", timeout=REQUEST_TIMEOUT, trust_env=False)


def _read_use_time(port: int) -> float:
    """Return how many seconds the interactive connections of all workers have been in use so far."""
    return sum(float(found) for found in USE_TIME_PATTERN.findall(_get(port, "/metrics").text))


def _read_quiz(port: int) -> tuple[str, int, list[tuple[int, int]]]:
    """Return the starter quiz: its slug, its id, and each question's item with how many choices it has."""
    quiz = _get(port, "/api/v1/quizzes?limit=1").json()["quizzes"][0]
    found = _get(port, f"/api/v1/quizzes/{quiz['id']}").json()
    return quiz["slug"], quiz["id"], [(one["item"], len(one["choices"])) for one in found["questions"]]
