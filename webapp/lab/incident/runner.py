"""Makes one push at two services, one after the other, on one database server, and records how each responds."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from poolproof.lab.connection_monitor import ConnectionMonitor
from poolproof.lab.reporting.report_output import ProgressDisplay
from poolproof.lab.scratch_schema import create_scratch_schema
from webapp.lab.incident import naive_app
from webapp.lab.incident.timeline import SAMPLE_INTERVAL, TimelinePoint, build_timeline
from webapp.lab.loadgen import load_generator
from webapp.lab.loadgen.load_generator import LoadProcesses, ProcessResult
from webapp.lab.loadgen.player import PushPlan, RequestSample
from webapp.lab.push import push_report, verification
from webapp.lab.push.quiz_discovery import find_open_quiz
from webapp.lab.services.poolproof_service import inherited_environment
from webapp.lab.services.processes import HOST, free_port
from webapp.lab.services.service_process import RunningService, ServiceSpec, gunicorn, run_service
from webapp.quizzes.sample_quiz import SAMPLE_ITEMS
from webapp.settings import PROJECT_ROOT, child_environment

NAIVE_APP, POOLPROOF_SERVICE = "Flask-SQLAlchemy, defaults", "Poolproof"
WORKERS = 2
SECONDS_PER_USER = {NAIVE_APP: 0.1, POOLPROOF_SERVICE: 0.01}
"""First estimate of how long a push takes for each person."""
START_STOP_DURATION = 20.0
QUEUEPOOL_MESSAGE = re.compile(
    r"QueuePool limit of size \d+ overflow \d+ reached, connection timed out, timeout [\d.]+"
)


@dataclass(frozen=True)
class IncidentOptions:
    """The options; times in seconds."""

    users: int
    ramp: float
    think: float
    threads: int
    """Of each of the two workers of the service with the defaults."""
    pool_timeout: int | None
    """Of its pool; None: SQLAlchemy's own default."""
    give_up_after: float
    """After this time the push at each service is ended."""


@dataclass(frozen=True)
class ServiceRun:
    """The push at one service."""

    title: str
    summary: push_report.PushSummary
    timeline: Sequence[TimelinePoint]
    request_samples: Sequence[RequestSample]
    queuepool_messages: Sequence[str]
    """QueuePool's own error messages in the service's log."""
    is_complete: bool

    @property
    def error_count(self) -> int:
        """How many tries did not succeed."""
        return self.timeline[-1].error_count

    @property
    def peak_connections(self) -> int:
        """The largest number of connections on the server."""
        return max((point.connections or 0 for point in self.timeline), default=0)


def run_incident(database_url: str, options: IncidentOptions, progress: ProgressDisplay) -> Iterator[ServiceRun]:
    """Push at one service, then at the other; each has a schema of its own, which is dropped afterwards.

    Raises:
        ScratchSchemaError: when no such schema can be created.
        NotServingError: when a service does not start.
    """
    for title in (NAIVE_APP, POOLPROOF_SERVICE):
        with create_scratch_schema(database_url, "incident") as url, TemporaryDirectory(prefix="poolproof") as folder:
            run = _run_service(title, url, Path(folder), options, progress)
            yield run
        if not run.is_complete:
            return


def _run_service(
    title: str, database_url: str, folder: Path, options: IncidentOptions, progress: ProgressDisplay
) -> ServiceRun:
    progress.update(f"{title}: starting")
    port = free_port()
    load_generator.allow_open_files(options.users)
    items: list[tuple[int, int]] = []
    spec = _poolproof_spec(database_url, folder, port)
    if title == NAIVE_APP:
        items = naive_app.create_quiz(database_url, [len(item[2]) for item in SAMPLE_ITEMS])
        spec = _naive_app_spec(database_url, options)
    with run_service(spec, folder, port) as service, load_generator.start_load_processes(1) as processes:
        plan = _push_plan(service, items, options)
        with (
            closing(ConnectionMonitor(database_url)) as monitor,
            monitor.sample_counts(interval=SAMPLE_INTERVAL, started_at=plan.starts_at) as connection_counts,
        ):
            results, is_complete = _run_push(processes, plan, options, title, progress)
        progress.update(f"{title}: reading back and stopping")
        visits = [visit for result in results for visit in result.visits]
        verified = None
        if title == POOLPROOF_SERVICE and is_complete:
            verified = verification.verify_acknowledged(HOST, port, visits)
    samples = [sample for visit in visits for sample in visit.samples]
    timeline = build_timeline(samples, connection_counts, max((sample.ended_at for sample in samples), default=0.0))
    messages = QUEUEPOOL_MESSAGE.findall(service.log.read_text(errors="replace"))
    return ServiceRun(
        title, push_report.summarize(results, verified, None), timeline, samples, messages, is_complete
    )  # fmt: skip


def _naive_app_spec(database_url: str, options: IncidentOptions) -> ServiceSpec:
    argument = "" if options.pool_timeout is None else str(options.pool_timeout)
    application = f"webapp.lab.incident.naive_app:create_app({argument})"
    command = gunicorn(application, WORKERS, options.threads, "--worker-connections", "20000")
    environment = child_environment({"DATABASE_URL": database_url}, import_from=PROJECT_ROOT)
    return ServiceSpec(NAIVE_APP, command, environment)


def _poolproof_spec(database_url: str, folder: Path, port: int) -> ServiceSpec:
    environment = inherited_environment(
        database_url, folder / "instance", POOLPROOF_BIND=f"{HOST}:{port}", POOLPROOF_CONSOLE_BIND="off"
    )
    return ServiceSpec(POOLPROOF_SERVICE, [sys.executable, "-m", "webapp", "serve"], environment)


def _push_plan(service: RunningService, items: Sequence[tuple[int, int]], options: IncidentOptions) -> PushPlan:
    slug, quiz_id = naive_app.SLUG, naive_app.QUIZ_ID
    if not items:
        slug, quiz_id, items = find_open_quiz(HOST, service.port, None)
    starts_at = time.monotonic() + load_generator.START_DELAY
    return PushPlan(
        HOST, service.port, slug, quiz_id, items, starts_at, options.ramp, options.think, retry=True,
        ends_at=starts_at + options.give_up_after,
    )  # fmt: skip


def _run_push(
    processes: LoadProcesses, plan: PushPlan, options: IncidentOptions, title: str, progress: ProgressDisplay
) -> tuple[list[ProcessResult], bool]:
    """Return the results of a push and whether it is complete: on Ctrl-C the results until then, and False."""
    later = 0.0
    if title == NAIVE_APP:
        later = START_STOP_DURATION + options.users * SECONDS_PER_USER[POOLPROOF_SERVICE]

    def show(completed: int) -> None:
        elapsed = max(0.0, time.monotonic() - plan.starts_at)
        remaining = max(options.users * SECONDS_PER_USER[title] - elapsed, 0.0)
        if completed:
            remaining = elapsed / completed * (options.users - completed)
        remaining = min(options.give_up_after - elapsed, remaining) + later
        progress.update(f"{title}: {completed} of {options.users} people are done or gave up", remaining=remaining)

    try:
        return processes.run(plan, options.users, show), True
    except load_generator.PushStoppedError as stopped:
        return stopped.results, False
