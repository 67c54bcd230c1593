"""The push, ours beside what people would use instead, by turns on one MySQL: `make bench`.

Each round and contender: a fresh database, the push (open, start, ten answers, finish, board), read back
afterwards; then steady answers on 64 connections. Prints the medians and their ratios, and exits 1 when
a bound is missed. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx2
from sqlalchemy import create_engine

from bench import raw_ceiling, steady_answers
from bench.peers.servers import DJANGO, FASTAPI, FLASK_ALONE, FLASK_ORM, OURS, Contender, Running, running
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.lab.factories import make_quiz
from webapp.lab.loadgen import load_generator
from webapp.lab.loadgen.player import PushPlan
from webapp.lab.push import push_report, verification
from webapp.lab.services.database_server import DatabaseServer, new_server

CONNECTIONS = 64
LOOKS_EVERY = 0.1
CONTENDERS = (FLASK_ORM, FASTAPI, DJANGO, FLASK_ALONE, OURS)
PEER_ITEMS = [(number, 4) for number in range(1, 11)]


@dataclass(frozen=True)
class Figures:
    """What one contender did in one round; times in seconds."""

    push: float = 0.0
    p99: float = 0.0
    worst: float = 0.0
    connections: int = 0
    statements_per_request: float = 0.0
    failed: int = 0
    """Requests that did not end well at the first try."""
    unserved: int = 0
    """People who did not come through."""
    lost: int = 0
    """Acknowledged answers and finishes that were not there afterwards."""
    client_cpu: float = 0.0
    answers_per_second: float = 0.0


class Watch:
    """Counts a database's connections and the server's statements while a block runs."""

    def __init__(self, server: DatabaseServer, database: str) -> None:
        """Look at nothing yet."""
        self._server, self._database = server, database
        self.peak = self.statements = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Watch."""
        done = threading.Event()
        count = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = %s"
        with self._server.connect() as connection, connection.cursor() as cursor:

            def questions() -> int:
                cursor.execute("SHOW GLOBAL STATUS LIKE 'Questions'")
                return int(cursor.fetchall()[0][1])

            def look() -> None:
                own, before = 0, questions()
                while not done.wait(LOOKS_EVERY):
                    cursor.execute(count, (self._database,))
                    self.peak = max(self.peak, cursor.fetchall()[0][0])
                    own += 1
                self.statements = questions() - before - own - 1

            thread = threading.Thread(target=look)
            thread.start()
            try:
                yield
            finally:
                done.set()
                thread.join()


def take_part(contender: Contender, server: DatabaseServer, folder: Path, users: int, seconds: float) -> Figures:
    """Let one contender serve the push, then steady answers."""
    with running(contender, server, folder) as service:
        slug, quiz_id, items = _quiz(service, server)
        if not contender.has_database:
            addresses = [f"/api/v1/attempts/{number:032x}" for number in range(CONNECTIONS)]
            kept = steady_answers.answers(service.port, addresses, [item for item, _ in items], CONNECTIONS, seconds)
            return Figures(answers_per_second=kept.answers_per_second, failed=kept.others)
        watch = Watch(server, service.database)
        with load_generator.start_load_processes(1) as pushers, watch():
            starts_at = time.monotonic() + load_generator.START_DELAY
            plan = PushPlan("127.0.0.1", service.port, slug, quiz_id, items, starts_at, 1.0, 0.0, retry=True)
            shares = pushers.run(plan, users, lambda _: None)
        proved = verification.verify_acknowledged(
            "127.0.0.1", service.port, [visit for share in shares for visit in share.visits]
        )
        found = push_report.summarize(shares, proved, push_report.DatabaseStats(watch.peak, watch.statements))
        times = sorted(one.seconds for share in shares for visit in share.visits for one in visit.samples)
        addresses = [_start(service, quiz_id) for _ in range(CONNECTIONS)]
        kept = steady_answers.answers(service.port, addresses, [item for item, _ in items], CONNECTIONS, seconds)
        return Figures(
            push=found.seconds,
            p99=times[int(len(times) * 0.99)],
            worst=times[-1],
            connections=watch.peak,
            statements_per_request=watch.statements / found.requests,
            failed=sum(found.first_tries_failed.values()) + kept.others,
            unserved=found.users - found.done,
            lost=proved.missing + proved.changed + proved.unfinished,
            client_cpu=found.client_cpu,
            answers_per_second=kept.answers_per_second,
        )


def _quiz(service: Running, server: DatabaseServer) -> tuple[str, int, Sequence[tuple[int, int]]]:
    if service.contender.name != OURS.name:
        return "push", 1, PEER_ITEMS
    engine = create_engine(server.url(service.database))
    version = make_quiz(UnitOfWork(engine), questions=len(PEER_ITEMS))
    engine.dispose()
    return version.slug, version.quiz_id, [(one.item_id, len(one.choices)) for one in version.document.questions]


def _start(service: Running, quiz_id: int) -> str:
    address = f"http://127.0.0.1:{service.port}/api/v1/quizzes/{quiz_id}/attempts"
    return f"/api/v1/attempts/{httpx2.post(address, json={'name': 'Steady'}).raise_for_status().json()['token']}"


@dataclass(frozen=True)
class Bound:
    """A ratio that has to be reached."""

    what: str
    ratio: float
    least: float

    def line(self) -> str:
        """Say whether it was."""
        return (
            f"  {'ok    ' if self.is_met else 'MISSED'} {self.what:<66} {self.ratio:8.2f} ×   (bound ≥ {self.least:g})"
        )

    @property
    def is_met(self) -> bool:
        """Whether it was reached."""
        return self.ratio >= self.least


def bounds(of: dict[str, Figures]) -> Iterator[Bound]:
    """Compare the contenders that took part."""
    ours = of[OURS.name]
    if FASTAPI.name in of:
        peer = of[FASTAPI.name]
        yield Bound("push: FastAPI's time / ours", peer.push / ours.push, 4)
        yield Bound("a request's p99: FastAPI's / ours", peer.p99 / ours.p99, 15)
        yield Bound("connections at peak: FastAPI's / ours", peer.connections / ours.connections, 8)
    if FLASK_ORM.name in of:
        yield Bound("push: Flask-SQLAlchemy's time / ours", of[FLASK_ORM.name].push / ours.push, 6)
    if DJANGO.name in of:
        yield Bound("push: Django's time / ours", of[DJANGO.name].push / ours.push, 3)
    if FLASK_ALONE.name in of:
        alone = of[FLASK_ALONE.name].answers_per_second
        yield Bound("steady answers: ours / Flask's without a database", ours.answers_per_second / alone, 0.6)


def median(rounds: Sequence[Figures]) -> Figures:
    """Return each figure's median; of what went wrong, the sum."""
    added = {"failed", "unserved", "lost"}
    columns = {name: [asdict(one)[name] for one in rounds] for name in asdict(rounds[0])}
    return Figures(**{name: sum(of) if name in added else statistics.median(of) for name, of in columns.items()})


def kept(figures: str) -> dict[str, Figures]:
    """Return the medians of what `--json` has kept."""
    rounds = json.loads(figures)
    return {name: median([Figures(**one) for one in found]) for name, found in rounds.items()}


def table(of: dict[str, Figures], titles: dict[str, str]) -> Iterator[str]:
    """Yield the table as README has it."""
    columns = ("service", "push", "p99", "connections", "statements a request", "first tries failed", "people lost")
    yield f"| {' | '.join(columns)} | steady answers/s |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, one in of.items():
        pushed = (
            f"{one.push:.1f} s | {one.p99:.2f} s | {one.connections:.0f} | {one.statements_per_request:.2f} | "
            f"{one.failed} | {one.unserved}"
        )
        yield f"| {titles[name]} | {pushed if one.push else ' | '.join('–' * 6)} | {one.answers_per_second:,.0f} |"


def main() -> None:
    """Compare, print, judge."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--users", type=int, default=2000)
    arguments.add_argument("--seconds", type=float, default=8.0, help="of steady answers")
    arguments.add_argument("--only", help="names, with commas between")
    arguments.add_argument("--json", type=Path, help="keep all figures in this file")
    arguments.add_argument("--kept", type=Path, help="measure nothing: judge the figures that --json has kept here")
    given = arguments.parse_args()
    if given.kept:
        judge(kept(given.kept.read_text()), CONTENDERS)
    else:
        judge(*measure(given))


def measure(given: argparse.Namespace) -> tuple[dict[str, Figures], Sequence[Contender]]:
    """Let everybody take part by turns; return the medians, and who took part."""
    contenders: Sequence[Contender] = CONTENDERS
    if given.only:
        contenders = [one for one in contenders if one.name in given.only.split(",")]
    load_generator.allow_open_files(given.users)
    rounds: dict[str, list[Figures]] = {one.name: [] for one in contenders}
    with tempfile.TemporaryDirectory() as folder:
        server = new_server("mysql", Path(folder) / "server", "--max-connections=200")
        for number in range(given.rounds):
            for one in contenders:
                name = f"{one.name}_{number}"
                figures = take_part(one, server, Path(folder) / name, given.users, given.seconds)
                rounds[one.name].append(figures)
                print(f"round {number + 1}: {one.title}: {_shown(figures)}", flush=True)
            if given.json:
                so_far = {name: [asdict(one) for one in found] for name, found in rounds.items()}
                given.json.write_text(json.dumps(so_far, indent=1))
        print(f"raw PyMySQL, no HTTP: {raw_ceiling.answers_per_second(server, given.seconds):.0f} answers/s")
        server.stop()
    return {name: median(found) for name, found in rounds.items()}, contenders


def judge(of: dict[str, Figures], contenders: Sequence[Contender]) -> None:
    """Print the table and the bounds, and exit 1 when one is missed."""
    print("", *table(of, {one.name: one.title for one in contenders}), "", sep="\n")
    judged = list(bounds(of)) if OURS.name in of else []
    print(*(bound.line() for bound in judged), sep="\n")
    ours = of.get(OURS.name, Figures())
    wrong = ours.failed + ours.unserved + ours.lost
    if wrong:
        print(f"  MISSED no error of any kind in ours: {wrong}")
    if wrong or not all(bound.is_met for bound in judged):
        sys.exit(1)


def _shown(figures: Figures) -> str:
    values = asdict(figures).items()
    return ", ".join(f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}" for name, value in values)


if __name__ == "__main__":
    main()
