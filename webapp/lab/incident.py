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

from webapp.lab import documented, load, proof, report
from webapp.lab.keeping import Progress
from webapp.lab.load import Pushers, Share
from webapp.lab.moments import EVERY, Moment, moments
from webapp.lab.observing import Observer
from webapp.lab.push import Plan, Sample
from webapp.lab.quiz import open_quiz
from webapp.lab.schemas import schema_of_its_own
from webapp.lab.services.processes import HOST, free_port
from webapp.lab.services.service_process import Recipe, Served, gunicorn, served
from webapp.quizzes.starter import ITEMS
from webapp.settings import environment_for_child

DOCUMENTED, OURS = "Flask-SQLAlchemy, defaults", "Poolproof"
WORKERS = 2
SECONDS_EACH = {DOCUMENTED: 0.1, OURS: 0.01}
"""Of a push, for each person, until it is known better."""
START_AND_STOP = 20.0
MESSAGE = re.compile(r"QueuePool limit of size \d+ overflow \d+ reached, connection timed out, timeout [\d.]+")


@dataclass(frozen=True)
class Wish:
    """What is to be rehearsed; times in seconds."""

    users: int
    within: float
    think: float
    threads: int
    """Of each of the two workers of the service with the defaults."""
    pool_timeout: int | None
    """Of its pool; None: SQLAlchemy's own."""
    limit: float
    """Nobody is waited for any longer, on either side."""


@dataclass(frozen=True)
class Side:
    """How one service has stood it."""

    title: str
    summary: report.Report
    moments: Sequence[Moment]
    samples: Sequence[Sample]
    messages: Sequence[str]
    """QueuePool's own, from the service's log."""
    is_complete: bool

    @property
    def errors(self) -> int:
        """How many tries did not end well."""
        return self.moments[-1].failed

    @property
    def connections(self) -> int:
        """On the server, at peak."""
        return max((one.connections or 0 for one in self.moments), default=0)


def rehearse(database_url: str, wish: Wish, progress: Progress) -> Iterator[Side]:
    """Push at one service, then at the other; each has a schema of its own, which is dropped afterwards.

    Raises:
        NotALabError: when no such schema can be made.
        NotServingError: when a service does not start.
    """
    for title in (DOCUMENTED, OURS):
        with schema_of_its_own(database_url, "incident") as own, TemporaryDirectory(prefix="poolproof") as folder:
            side = _push(title, own, Path(folder), wish, progress)
            yield side
        if not side.is_complete:
            return


def _push(title: str, database_url: str, folder: Path, wish: Wish, progress: Progress) -> Side:
    progress.say(f"{title}: starting")
    port = free_port()
    recipe = _documented(database_url, wish) if title == DOCUMENTED else _ours(database_url, folder, port)
    load.allow_open_files(wish.users)
    items = documented.fill(database_url, [len(one[2]) for one in ITEMS]) if title == DOCUMENTED else []
    with served(recipe, folder, port) as service, load.pushers(1) as pushers:
        plan = _plan(service, items, wish)
        with closing(Observer(database_url)) as observer, observer.looking(every=EVERY, since=plan.starts_at) as looks:
            shares, is_complete = _load(pushers, plan, wish, title, progress)
        progress.say(f"{title}: reading back and stopping")
        visits = [visit for share in shares for visit in share.visits]
        proved = proof.read_back(HOST, port, visits) if title == OURS and is_complete else None
    summary = report.sum_up(shares, proved, None)
    samples = [sample for visit in visits for sample in visit.samples]
    course = moments(samples, looks, max((one.came_back for one in samples), default=0.0))
    said = MESSAGE.findall(service.log.read_text(errors="replace"))
    return Side(title, summary, course, samples, said, is_complete)


def _documented(database_url: str, wish: Wish) -> Recipe:
    argument = "" if wish.pool_timeout is None else str(wish.pool_timeout)
    application = f"webapp.lab.documented:create_app({argument})"
    command = gunicorn(application, WORKERS, wish.threads, "--worker-connections", "20000")
    return Recipe(DOCUMENTED, command, environment_for_child(DATABASE_URL=database_url))


def _ours(database_url: str, folder: Path, port: int) -> Recipe:
    variables = {
        "DATABASE_URL": database_url,
        "POOLPROOF_INSTANCE": str(folder / "instance"),
        "POOLPROOF_BIND": f"{HOST}:{port}",
        "POOLPROOF_CONSOLE_BIND": "off",
        "POOLPROOF_COLLECTORS": "0",
        "POOLPROOF_OTLP_ENDPOINT": "",
    }
    return Recipe(OURS, [sys.executable, "-m", "webapp", "serve"], environment_for_child(**variables))


def _plan(service: Served, items: Sequence[tuple[int, int]], wish: Wish) -> Plan:
    slug, quiz_id = documented.SLUG, documented.QUIZ_ID
    if not items:
        slug, quiz_id, items = asyncio.run(open_quiz(HOST, service.port, None))
    starts_at = time.monotonic() + load.SOON
    return Plan(
        HOST, service.port, slug, quiz_id, items, starts_at, wish.within, wish.think, retries=True,
        ends_at=starts_at + wish.limit,
    )  # fmt: skip


def _load(pushers: Pushers, plan: Plan, wish: Wish, title: str, progress: Progress) -> tuple[list[Share], bool]:
    """Push; on Ctrl-C with what there is, and False."""
    rest = 0.0 if title == OURS else START_AND_STOP + wish.users * SECONDS_EACH[OURS]

    def show(through: int) -> None:
        passed = max(0.0, time.monotonic() - plan.starts_at)
        guessed = max(wish.users * SECONDS_EACH[title] - passed, 0.0)
        left = min(wish.limit - passed, passed / through * (wish.users - through) if through else guessed)
        progress.say(f"{title}: {through} of {wish.users} people are through or gave up", left=left + rest)

    try:
        return pushers.push(plan, wish.users, show), True
    except load.StoppedError as stopped:
        return stopped.shares, False
