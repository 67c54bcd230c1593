"""The incident, rehearsed: one push at two services, one after the other, on one MySQL; and its course."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from webapp.lab.incident import naive_app
from webapp.lab.incident.timeline import SAMPLE_INTERVAL, TimelinePoint, build_timeline
from webapp.lab.loadgen import load_generator
from webapp.lab.loadgen.load_generator import LoadProcesses, ProcessResult
from webapp.lab.loadgen.player import PushPlan, RequestSample
from webapp.lab.push import push_report, verification
from webapp.lab.push.quiz_discovery import find_open_quiz
from webapp.lab.reporting.report_output import ProgressDisplay
from webapp.lab.services.connection_monitor import ConnectionMonitor
from webapp.lab.services.processes import HOST, free_port
from webapp.lab.services.scratch_schema import create_scratch_schema
from webapp.lab.services.service_process import RunningService, ServiceSpec, gunicorn, run_service
from webapp.quizzes.sample_quiz import SAMPLE_ITEMS
from webapp.settings import PROJECT_ROOT, child_environment

NAIVE_APP, POOLPROOF_SERVICE = "Flask-SQLAlchemy, defaults", "Poolproof"
WORKERS = 2
SECONDS_PER_USER = {NAIVE_APP: 0.1, POOLPROOF_SERVICE: 0.01}
"""Of a push, for each person, until it is known better."""
START_STOP_DURATION = 20.0
QUEUEPOOL_MESSAGE = re.compile(
    r"QueuePool limit of size \d+ overflow \d+ reached, connection timed out, timeout [\d.]+"
)


@dataclass(frozen=True)
class IncidentOptions:
    """What is to be rehearsed; times in seconds."""

    users: int
    ramp: float
    think: float
    threads: int
    """Of each of the two workers of the service with the defaults."""
    pool_timeout: int | None
    """Of its pool; None: SQLAlchemy's own."""
    give_up_after: float
    """Nobody is waited for any longer, on either side."""


@dataclass(frozen=True)
class ServiceRun:
    """How one service has stood it."""

    title: str
    summary: push_report.PushSummary
    timeline: Sequence[TimelinePoint]
    request_samples: Sequence[RequestSample]
    queuepool_messages: Sequence[str]
    """QueuePool's own, from the service's log."""
    is_complete: bool

    @property
    def error_count(self) -> int:
        """How many tries did not end well."""
        return self.timeline[-1].error_count

    @property
    def peak_connections(self) -> int:
        """On the server, at peak."""
        return max((one.connections or 0 for one in self.timeline), default=0)


def run_incident(database_url: str, options: IncidentOptions, progress: ProgressDisplay) -> Iterator[ServiceRun]:
    """Push at one service, then at the other; each has a schema of its own, which is dropped afterwards.

    Raises:
        ScratchSchemaError: when no such schema can be made.
        NotServingError: when a service does not start.
    """
    for title in (NAIVE_APP, POOLPROOF_SERVICE):
        with create_scratch_schema(database_url, "incident") as own, TemporaryDirectory(prefix="poolproof") as folder:
            side = _run_service(title, own, Path(folder), options, progress)
            yield side
        if not side.is_complete:
            return


def _run_service(
    title: str, database_url: str, folder: Path, options: IncidentOptions, progress: ProgressDisplay
) -> ServiceRun:
    progress.update(f"{title}: starting")
    port = free_port()
    recipe = (
        _naive_app_spec(database_url, options) if title == NAIVE_APP else _poolproof_spec(database_url, folder, port)
    )
    load_generator.allow_open_files(options.users)
    items = naive_app.create_quiz(database_url, [len(one[2]) for one in SAMPLE_ITEMS]) if title == NAIVE_APP else []
    with run_service(recipe, folder, port) as service, load_generator.start_load_processes(1) as pushers:
        plan = _push_plan(service, items, options)
        with (
            closing(ConnectionMonitor(database_url)) as observer,
            observer.sample_counts(interval=SAMPLE_INTERVAL, started_at=plan.starts_at) as looks,
        ):
            shares, is_complete = _run_push(pushers, plan, options, title, progress)
        progress.update(f"{title}: reading back and stopping")
        visits = [visit for share in shares for visit in share.visits]
        proved = (
            verification.verify_acknowledged(HOST, port, visits) if title == POOLPROOF_SERVICE and is_complete else None
        )
    summary = push_report.summarize(shares, proved, None)
    samples = [sample for visit in visits for sample in visit.samples]
    course = build_timeline(samples, looks, max((one.ended_at for one in samples), default=0.0))
    said = QUEUEPOOL_MESSAGE.findall(service.log.read_text(errors="replace"))
    return ServiceRun(title, summary, course, samples, said, is_complete)


def _naive_app_spec(database_url: str, options: IncidentOptions) -> ServiceSpec:
    argument = "" if options.pool_timeout is None else str(options.pool_timeout)
    application = f"webapp.lab.incident.naive_app:create_app({argument})"
    command = gunicorn(application, WORKERS, options.threads, "--worker-connections", "20000")
    environment = child_environment({"DATABASE_URL": database_url}, import_from=PROJECT_ROOT)
    return ServiceSpec(NAIVE_APP, command, environment)


def _poolproof_spec(database_url: str, folder: Path, port: int) -> ServiceSpec:
    variables = {
        "DATABASE_URL": database_url,
        "POOLPROOF_INSTANCE": str(folder / "instance"),
        "POOLPROOF_BIND": f"{HOST}:{port}",
        "POOLPROOF_CONSOLE_BIND": "off",
        "POOLPROOF_COLLECTOR_PROCESSES": "0",
        "POOLPROOF_OTLP_ENDPOINT": "",
    }
    environment = child_environment(variables, import_from=PROJECT_ROOT)
    return ServiceSpec(POOLPROOF_SERVICE, [sys.executable, "-m", "webapp", "serve"], environment)


def _push_plan(service: RunningService, items: Sequence[tuple[int, int]], options: IncidentOptions) -> PushPlan:
    slug, quiz_id = naive_app.SLUG, naive_app.QUIZ_ID
    if not items:
        slug, quiz_id, items = asyncio.run(find_open_quiz(HOST, service.port, None))
    starts_at = time.monotonic() + load_generator.START_DELAY
    return PushPlan(
        HOST, service.port, slug, quiz_id, items, starts_at, options.ramp, options.think, retry=True,
        ends_at=starts_at + options.give_up_after,
    )  # fmt: skip


def _run_push(
    processes: LoadProcesses, plan: PushPlan, options: IncidentOptions, title: str, progress: ProgressDisplay
) -> tuple[list[ProcessResult], bool]:
    """Push; on Ctrl-C with what there is, and False."""
    rest = (
        0.0 if title == POOLPROOF_SERVICE else START_STOP_DURATION + options.users * SECONDS_PER_USER[POOLPROOF_SERVICE]
    )

    def show(through: int) -> None:
        passed = max(0.0, time.monotonic() - plan.starts_at)
        guessed = max(options.users * SECONDS_PER_USER[title] - passed, 0.0)
        left = min(options.give_up_after - passed, passed / through * (options.users - through) if through else guessed)
        progress.update(f"{title}: {through} of {options.users} people are through or gave up", remaining=left + rest)

    try:
        return processes.run(plan, options.users, show), True
    except load_generator.PushStoppedError as stopped:
        return stopped.results, False
