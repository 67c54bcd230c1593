"""Compares Poolproof with other services under the same push, by turns on one MySQL: `make bench`.

In each round each contender gets a fresh database and the push (open, start, ten answers, finish, leaderboard), whose
answers are read back; then the same push of users who behave as browsers do (idle connections, files, slow lines, some
vanish); then steady answers on 64 connections. Prints the medians and their ratios, and exits 1 when a
bound is missed. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx2
from sqlalchemy import create_engine

from bench import raw_ceiling, steady_answers
from bench.peers.servers import DJANGO, FASTAPI, FLASK_ALONE, FLASK_ORM, OURS, Contender, Running, running
from poolproof.lab.connection_monitor import ConnectionMonitor
from poolproof.lab.reporting.latency import percentile
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.lab.factories import make_quiz
from webapp.lab.loadgen import load_generator
from webapp.lab.loadgen.browser_model import BrowserModel
from webapp.lab.loadgen.player import OPEN, PushPlan, connections_per_user
from webapp.lab.push import push_report, verification
from webapp.lab.push.database_monitor import DatabaseMonitor
from webapp.lab.push.push_report import PushSummary
from webapp.lab.services.database_server import DatabaseServer, new_server

CONNECTIONS = 64
CONTENDERS = (FLASK_ORM, FASTAPI, DJANGO, FLASK_ALONE, OURS)
PEER_ITEMS = [(number, 4) for number in range(1, 11)]


@dataclass(frozen=True)
class Figures:
    """The figures of one contender in one round; times in seconds. `--json` stores them under these names."""

    push: float = 0.0
    p99: float = 0.0
    worst: float = 0.0
    connections: int = 0
    statements_per_request: float = 0.0
    failed: int = 0
    """Requests that did not succeed at the first try."""
    unserved: int = 0
    """People who were not served to the end."""
    lost: int = 0
    """Acknowledged answers and finishes that were not stored."""
    client_cpu: float = 0.0
    answers_per_second: float = 0.0
    browsers_push: float = 0.0
    """Of the push whose users behave as browsers do: its seconds, and those until the quiz's page had come."""
    browsers_page_p50: float = 0.0
    browsers_page_p99: float = 0.0
    browsers_unserved: int = 0
    browsers_lost: int = 0


@contextmanager
def _monitor_of(server: DatabaseServer, database: str) -> Iterator[DatabaseMonitor]:
    """Yield a monitor that uses a single connection, so that its own statements are known and can be subtracted."""
    engine = create_engine(server.url(), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield DatabaseMonitor(ConnectionMonitor(server.url(database), lambda: nullcontext(connection)))
    engine.dispose()


def measure_contender(
    contender: Contender, server: DatabaseServer, folder: Path, users: int, seconds: float
) -> Figures:
    """Measure one contender: the push, then steady answers."""
    with running(contender, server, folder) as service:
        slug, quiz_id, items = _quiz(service, server)
        item_ids = [item for item, _ in items]
        if not contender.has_database:
            paths = [f"/api/v1/attempts/{number:032x}" for number in range(CONNECTIONS)]
            steady = steady_answers.answers(service.port, paths, item_ids, CONNECTIONS, seconds)
            return Figures(answers_per_second=steady.answers_per_second, failed=steady.others)
        summary, samples = _push(service, server, (slug, quiz_id, items), users)
        browsers, _ = _push(service, server, (slug, quiz_id, items), users, BrowserModel())
        paths = [_start(service, quiz_id) for _ in range(CONNECTIONS)]
        steady = steady_answers.answers(service.port, paths, item_ids, CONNECTIONS, seconds)
        return _figures(summary, samples, steady, browsers)


def _push(
    service: Running,
    server: DatabaseServer,
    quiz: tuple[str, int, Sequence[tuple[int, int]]],
    users: int,
    browsers: BrowserModel | None = None,
) -> tuple[PushSummary, list[float]]:
    """Return the summary of a push, and the sorted seconds of all tries."""
    with load_generator.start_load_processes(1) as processes, _monitor_of(server, service.database) as monitor:
        with monitor.run():
            starts_at = time.monotonic() + load_generator.START_DELAY
            plan = PushPlan("127.0.0.1", service.port, *quiz, starts_at, 1.0, 0.0, retry=True, browsers=browsers)
            results = processes.run(plan, users, lambda _: None)
        stats = monitor.stats()
    visits = [visit for result in results for visit in result.visits]
    verified = verification.verify_acknowledged("127.0.0.1", service.port, visits)
    return push_report.summarize(results, verified, stats), sorted(
        sample.seconds for visit in visits for sample in visit.samples
    )


def _figures(
    summary: PushSummary, samples: Sequence[float], steady: steady_answers.Steady, browsers: PushSummary
) -> Figures:
    verified, server, verified_browsers = summary.verification, summary.server, browsers.verification
    if verified is None or server is None or verified_browsers is None:
        sys.exit("The server was restarted during the push.")
    return Figures(
        push=summary.seconds,
        p99=percentile(samples, 0.99),
        worst=samples[-1],
        connections=server.connections_at_peak,
        statements_per_request=server.statements / summary.requests,
        failed=sum(summary.first_tries_failed.values()) + steady.others,
        unserved=summary.users - summary.done,
        lost=verified.missing + verified.changed + verified.unfinished,
        client_cpu=summary.client_cpu,
        answers_per_second=steady.answers_per_second,
        browsers_push=browsers.seconds,
        browsers_page_p50=browsers.steps[OPEN].p50,
        browsers_page_p99=browsers.steps[OPEN].p99,
        browsers_unserved=browsers.users - browsers.done - browsers.vanished,
        browsers_lost=verified_browsers.missing + verified_browsers.changed + verified_browsers.unfinished,
    )


def _quiz(service: Running, server: DatabaseServer) -> tuple[str, int, Sequence[tuple[int, int]]]:
    if service.contender.name != OURS.name:
        return "push", 1, PEER_ITEMS
    engine = create_engine(server.url(service.database))
    version = make_quiz(UnitOfWork(engine), questions=len(PEER_ITEMS))
    engine.dispose()
    return version.slug, version.quiz_id, [(item.item_id, len(item.choices)) for item in version.document.questions]


def _start(service: Running, quiz_id: int) -> str:
    address = f"http://127.0.0.1:{service.port}/api/v1/quizzes/{quiz_id}/attempts"
    return f"/api/v1/attempts/{httpx2.post(address, json={'name': 'Steady'}).raise_for_status().json()['token']}"


@dataclass(frozen=True)
class Bound:
    """A ratio that must be reached."""

    label: str
    ratio: float
    minimum: float

    def line(self) -> str:
        """Return the ratio and whether it reaches the minimum."""
        verdict = "ok    " if self.is_met else "MISSED"
        return f"  {verdict} {self.label:<66} {self.ratio:8.2f} ×   (bound ≥ {self.minimum:g})"

    @property
    def is_met(self) -> bool:
        """Whether the minimum is reached."""
        return self.ratio >= self.minimum


def bounds(medians: dict[str, Figures]) -> Iterator[Bound]:
    """Compare the contenders that were measured."""
    ours = medians[OURS.name]
    if FASTAPI.name in medians:
        peer = medians[FASTAPI.name]
        yield Bound("push: FastAPI's time / ours", peer.push / ours.push, 4)
        yield Bound("a request's p99: FastAPI's / ours", peer.p99 / ours.p99, 15)
        yield Bound("connections at peak: FastAPI's / ours", peer.connections / ours.connections, 8)
    if FLASK_ORM.name in medians:
        yield Bound("push: Flask-SQLAlchemy's time / ours", medians[FLASK_ORM.name].push / ours.push, 6)
    if DJANGO.name in medians:
        yield Bound("push: Django's time / ours", medians[DJANGO.name].push / ours.push, 3)
    if FLASK_ALONE.name in medians:
        flask = medians[FLASK_ALONE.name].answers_per_second
        yield Bound("steady answers: ours / Flask's without a database", ours.answers_per_second / flask, 0.6)


def median(rounds: Sequence[Figures]) -> Figures:
    """Return each figure's median; the sum of errors."""
    added = {"failed", "unserved", "lost", "browsers_unserved", "browsers_lost"}
    columns = {name: [asdict(figures)[name] for figures in rounds] for name in asdict(rounds[0])}
    return Figures(
        **{name: sum(values) if name in added else statistics.median(values) for name, values in columns.items()}
    )


def load_medians(text: str) -> dict[str, Figures]:
    """Return the medians of the rounds that `--json` has stored."""
    return {name: median([Figures(**figures) for figures in rounds]) for name, rounds in json.loads(text).items()}


def table(medians: dict[str, Figures], titles: dict[str, str]) -> Iterator[str]:
    """Yield the table for README."""
    columns = ("service", "push", "p99", "connections", "statements a request", "first tries failed", "people lost")
    yield f"| {' | '.join(columns)} | steady answers/s |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, figures in medians.items():
        push = (
            f"{figures.push:.1f} s | {figures.p99:.2f} s | {figures.connections:.0f} | "
            f"{figures.statements_per_request:.2f} | {figures.failed} | {figures.unserved}"
        )
        cells = push if figures.push else " | ".join("–" * 6)
        yield f"| {titles[name]} | {cells} | {figures.answers_per_second:,.0f} |"


def browsers_table(medians: dict[str, Figures], titles: dict[str, str]) -> Iterator[str]:
    """Yield a table of the pushes whose users behave as browsers do; nothing where none was measured."""
    measured = {name: figures for name, figures in medians.items() if figures.browsers_push}
    if measured:
        yield "| service | browsers' push | page p50 | page p99 | people lost |"
        yield "|---|---|---|---|---|"
    for name, figures in measured.items():
        page = f"{figures.browsers_page_p50:.2f} s | {figures.browsers_page_p99:.2f} s"
        yield f"| {titles[name]} | {figures.browsers_push:.1f} s | {page} | {figures.browsers_unserved} |"


def main() -> None:
    """Measure, print, and judge by the bounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--users", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=8.0, help="for which steady answers are measured")
    parser.add_argument("--only", help="names of contenders, separated by commas")
    parser.add_argument("--json", type=Path, help="store all figures in this file")
    parser.add_argument("--kept", type=Path, help="measure nothing, and judge the figures that --json has stored here")
    options = parser.parse_args()
    if options.kept:
        judge(load_medians(options.kept.read_text()), CONTENDERS)
    else:
        judge(*measure(options))


def measure(options: argparse.Namespace) -> tuple[dict[str, Figures], Sequence[Contender]]:
    """Measure the contenders by turns; return the medians and the contenders."""
    contenders: Sequence[Contender] = CONTENDERS
    if options.only:
        contenders = [contender for contender in contenders if contender.name in options.only.split(",")]
    load_generator.allow_open_files(options.users * connections_per_user(BrowserModel()))
    rounds: dict[str, list[Figures]] = {contender.name: [] for contender in contenders}
    with tempfile.TemporaryDirectory() as folder:
        server = new_server("mysql", Path(folder) / "server", "--max-connections=200")
        for number in range(options.rounds):
            for contender in contenders:
                instance = Path(folder) / f"{contender.name}_{number}"
                figures = measure_contender(contender, server, instance, options.users, options.seconds)
                rounds[contender.name].append(figures)
                print(f"round {number + 1}: {contender.title}: {_format_figures(figures)}", flush=True)
            if options.json:
                measured = {name: [asdict(figures) for figures in values] for name, values in rounds.items()}
                options.json.write_text(json.dumps(measured, indent=1))
        print(f"raw PyMySQL, no HTTP: {raw_ceiling.answers_per_second(server, options.seconds):.0f} answers/s")
        server.stop()
    return {name: median(values) for name, values in rounds.items()}, contenders


def judge(medians: dict[str, Figures], contenders: Sequence[Contender]) -> None:
    """Print the table and the bounds, and exit 1 when one is missed."""
    titles = {contender.name: contender.title for contender in contenders}
    print("", *table(medians, titles), "", *browsers_table(medians, titles), sep="\n")
    checked = list(bounds(medians)) if OURS.name in medians else []
    print(*(bound.line() for bound in checked), sep="\n")
    ours = medians.get(OURS.name, Figures())
    errors = ours.failed + ours.unserved + ours.lost + ours.browsers_unserved + ours.browsers_lost
    if errors:
        print(f"  MISSED no error of any kind in ours: {errors}")
    if errors or not all(bound.is_met for bound in checked):
        sys.exit(1)


def _format_figures(figures: Figures) -> str:
    values = asdict(figures).items()
    return ", ".join(f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}" for name, value in values)


if __name__ == "__main__":
    main()
