"""Measures Poolproof's own service, started with the setting in question and visited as in a push."""

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

from poolproof.lab.loadgen.load_profile import LoadProfile
from poolproof.lab.sizing import resource_sampler
from poolproof.lab.sizing.measured_engine import create_sampler_work
from poolproof.lab.sizing.measurements import RunResult, Setting, summarize_run
from poolproof.lab.sizing.resource_sampler import ResourceSample
from poolproof.lab.sizing.workload_bench import sleep_until
from poolproof.settings import PoolSettings
from webapp.lab.loadgen.load_generator import VisitLoad, VisitProcesses
from webapp.lab.loadgen.player import PushPlan
from webapp.lab.push.quiz_discovery import find_open_quiz
from webapp.lab.services.poolproof_service import inherited_environment
from webapp.lab.services.processes import HOST, children, free_port
from webapp.lab.services.service_process import RunningService, ServiceSpec, run_service
from webapp.lab.sizing.no_group_commit import WSGI
from webapp.settings import PROJECT_ROOT

REQUEST_TIMEOUT = 10.0
START_DELAY = 0.3
USE_TIME_PATTERN = re.compile(
    r'^db_client_connection_use_time_seconds_sum\{[^}]*="interactive"[^}]*\} (\S+)', re.MULTILINE
)
OTHER_REQUESTS_PER_VISIT = 4
"""Open, start, finish and leaderboard; beside the answers."""


WSGI_MODULE = "ungrouped_wsgi"
"""Of the service without group commit."""


class ServiceBench:
    """The service, measured from outside."""

    extra_warm_up = 1.0
    """Seconds: the first requests of a worker that has just started are slow."""
    overhead = 5.0 + extra_warm_up
    """Seconds that a run takes beside what is measured, most of them to start Gunicorn."""

    def __init__(self, url: str, pool: PoolSettings, clients: int = 64, processes: int = 1) -> None:
        """Create the tables and the sample quiz in this schema, by a first start of the service."""
        self._database_url = url
        self._clients = clients
        self._folder = tempfile.TemporaryDirectory(prefix="poolproof-lab-")
        (Path(self._folder.name) / f"{WSGI_MODULE}.py").write_text(WSGI, encoding="utf-8")
        self._sampler_work = create_sampler_work(url, pool)
        self._server_pid = resource_sampler.find_server_pid(self._sampler_work)
        self._visit_processes = VisitProcesses(processes)
        try:
            with self._run_service(Setting(1, 1), "-m", "webapp", "serve") as service:
                self._quiz = find_open_quiz(HOST, service.port, None)
        except BaseException:
            # Also on Ctrl-C: the caller has no object yet that it could close.
            self.close()
            raise

    def measure(self, setting: Setting, load: LoadProfile) -> RunResult:
        """Start the service with this setting, measure one run, and stop it."""
        app = "wsgi:app" if setting.is_grouped else f"{WSGI_MODULE}:app"
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
        self._visit_processes.close()
        self._sampler_work.engine.dispose()
        self._folder.cleanup()

    def _measure(self, service: RunningService, setting: Setting, load: LoadProfile) -> RunResult:
        starts_at = time.monotonic() + START_DELAY
        plan = PushPlan(HOST, service.port, *self._quiz, starts_at, 0.0, 0.0, retry=False)
        visits_per_second = (load.rate or 0.0) / (OTHER_REQUESTS_PER_VISIT + len(plan.items))
        processes = self._visit_processes.start(VisitLoad(plan, load, self._clients, visits_per_second))
        workers, clients = _visible_children(service.pid), _visible_children(os.getpid())
        sleep_until(starts_at + load.warm_up)
        before, use_time_before = self._sample(workers, clients)
        sleep_until(starts_at + load.warm_up + load.seconds)
        after, use_time = self._sample(workers, clients)
        results = [process.result() for process in processes]
        operations = [operation for timed, _ in results for operation in timed]
        usage = resource_sampler.usage_between(before, after, setting, setting.threads, None)
        cpu = max(share for _, share in results)
        run = summarize_run(setting, load, operations, starts_at, clients=self._clients, usage=usage, client_cpu=cpu)
        # From the service's own counter: a request may use no connection, and one write serves many.
        completed = run.throughput * (after.taken_at - before.taken_at)
        return replace(run, hold=(use_time - use_time_before) / max(1.0, completed))

    def _sample(self, workers: list[int], clients: list[int]) -> tuple[ResourceSample, float]:
        sample = resource_sampler.take_sample(self._sampler_work, workers, self._server_pid, clients)
        return sample, _read_use_time(self._console_port)

    @contextmanager
    def _run_service(self, setting: Setting, *command: str) -> Iterator[RunningService]:
        port, self._console_port = free_port(), free_port()
        environment = inherited_environment(
            self._database_url,
            Path(self._folder.name),
            POOLPROOF_BIND=f"{HOST}:{port}",
            POOLPROOF_CONSOLE_BIND=f"{HOST}:{self._console_port}",
            POOLPROOF_WORKERS=str(setting.workers),
            POOLPROOF_THREADS=str(setting.threads),
            POOLPROOF_PLAYER_RATE_LIMIT="0",
            POOL_SIZE=str(setting.pool),
            POOL_MIN_IDLE="1",
            POOL_BOOT_CHECK="off",
        )
        spec = ServiceSpec("The service", [sys.executable, *command], environment)
        with run_service(spec, Path(self._folder.name), port) as service:
            yield service


def _visible_children(pid: int) -> list[int]:
    """Return the process ids of a program's children; none where the system does not list them."""
    try:
        return children(pid)
    except OSError:
        return []


def _read_use_time(port: int) -> float:
    """Return how many seconds the interactive connections of all workers have been in use so far."""
    metrics = httpx2.get(f"http://{HOST}:{port}/metrics", timeout=REQUEST_TIMEOUT, trust_env=False).text
    return sum(float(seconds) for seconds in USE_TIME_PATTERN.findall(metrics))
