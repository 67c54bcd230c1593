"""Measures what an answer and a kept quiz page cost a worker, in processor time: `python bench/answer_cost.py`.

    PYTHONPATH=. python bench/answer_cost.py [--rounds 9] [--seconds 2] [--database mysql|sqlite] [--check]

Three services run beside each other under the same Gunicorn and the same parser: Poolproof on a database of its own,
Flask without a database, and a bare WSGI function, the last two on Gunicorn's own gthread worker. By turns 64
connections send each of them answers as fast as they are acknowledged (each request when the last one is answered).
What is counted is the processor time, user and system, of the workers' processes, so that other programs on the machine
matter little; the ratios are those of two turns that follow each other. For Poolproof it is also divided among the
main loop and all other threads. Then the same for a quiz page that is kept in memory: sent whole (200), and not
sent because the browser has it (304).

With `--check` it exits 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from sqlalchemy import create_engine

from bench import steady_answers
from bench.peers.servers import HERE
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.lab.factories import make_quiz
from webapp.lab.services.database_server import new_server
from webapp.lab.services.poolproof_service import run_poolproof_service
from webapp.lab.services.processes import children, free_port
from webapp.lab.services.service_process import ServiceSpec, gunicorn, run_service
from webapp.settings import child_environment

CONNECTIONS, WORKERS, THREADS = 64, 2, 8
OURS, FLASK, BARE = "Poolproof", "Flask without a database", "a bare WSGI function"
MAX_ANSWER_SECONDS, MIN_FLASK, MIN_BARE = 0.0002, 1.2, 0.85


@dataclass(frozen=True)
class Service:
    """A service that runs: its master's process, its port, and what is sent to it."""

    name: str
    pid: int
    port: int
    requests: dict[str, list[list[bytes]]]
    """For each kind of request, the requests of each connection."""


@dataclass(frozen=True)
class Cost:
    """Processor seconds of the workers for one response."""

    total: float
    main_loop: float
    """Of that, in the first thread of each worker."""
    others: int
    """Responses of another status than 200 and 304."""


@dataclass
class Costs:
    """The costs of one kind of request in all rounds."""

    of: dict[str, list[Cost]] = field(default_factory=dict)

    def median(self, name: str) -> float:
        """Return the median of a service's processor seconds for a response."""
        return statistics.median(cost.total for cost in self.of[name])

    def main_loop(self, name: str) -> float:
        """Return the median of the seconds in the main loop."""
        return statistics.median(cost.main_loop for cost in self.of[name])

    def ratio(self, other: str) -> float:
        """Return how many times as much as ours a response of the other service costs: the median of the rounds."""
        pairs = zip(self.of[other], self.of[OURS], strict=True)
        return statistics.median(theirs.total / ours.total for theirs, ours in pairs)


def processor_seconds(pid: int) -> tuple[float, float]:
    """Return the processor seconds of all threads of a process that live, and those of its first thread."""
    seconds = {int(task.name): _task_seconds(task) for task in Path(f"/proc/{pid}/task").iterdir()}
    return sum(seconds.values()), seconds[pid]


def _task_seconds(task: Path) -> float:
    # The first number of schedstat counts nanoseconds, where stat counts hundredths of a second.
    return int((task / "schedstat").read_text().split()[0]) / 1e9


def measure(service: Service, kind: str, seconds: float) -> Cost:
    """Send requests of one kind for some seconds; return what one costs."""
    workers = children(service.pid)
    before = [processor_seconds(pid) for pid in workers]
    sent = steady_answers.send(service.port, service.requests[kind], CONNECTIONS, seconds)
    after = [processor_seconds(pid) for pid in workers]
    total, main_loop = (
        sum(end[place] - begin[place] for begin, end in zip(before, after, strict=True)) for place in (0, 1)
    )
    return Cost(total / sent.responses, main_loop / sent.responses, sent.others)


@contextmanager
def poolproof(database: str, folder: Path) -> Iterator[Service]:
    """Serve a quiz by Poolproof, with an attempt for each connection."""
    with ExitStack() as cleanup:
        url = f"sqlite:///{folder / 'answers.db'}"
        if database != "sqlite":
            server = new_server("mysql" if database == "mysql" else "mariadb", folder / "server")
            cleanup.callback(server.stop)
            server.create_database("cost")
            url = server.url("cost")
        settings = {"POOLPROOF_PLAYER_RATE_LIMIT": "0", "POOLPROOF_WORKERS": str(WORKERS)}
        service = cleanup.enter_context(
            run_poolproof_service(url, folder / "instance", POOLPROOF_THREADS=str(THREADS), **settings)
        )
        engine = create_engine(url)
        version = make_quiz(UnitOfWork(engine), questions=10)
        engine.dispose()
        start = f"{service.address}/api/v1/quizzes/{version.quiz_id}/attempts"
        tokens = [httpx2.post(start, json={"name": "Ada"}).raise_for_status().json()["token"] for _ in range(64)]
        page = f"/quizzes/{version.slug}"
        items = [item.item_id for item in version.document.questions]
        etag = httpx2.get(f"{service.address}{page}").raise_for_status().headers["ETag"]
        requests = {"answer": answers(tokens, items), "page": [[get(page)]], "page, kept": [[get(page, etag)]]}
        yield Service(OURS, service.process.pid, service.port, requests)


@contextmanager
def plain_gunicorn(name: str, application: str, folder: Path) -> Iterator[Service]:
    """Serve an application by Gunicorn's own worker."""
    port, command = free_port(), gunicorn(application, WORKERS, THREADS)
    spec = ServiceSpec(name, command, child_environment({}, inherit_settings=False), "/quizzes/push", HERE)
    with run_service(spec, folder, port) as running:
        tokens = [f"{number:032x}" for number in range(CONNECTIONS)]
        requests = {"answer": answers(tokens, range(1, 11)), "page": [[get("/quizzes/push")]]}
        yield Service(name, running.pid, port, requests)


def answers(tokens: Sequence[str], items: Sequence[int]) -> list[list[bytes]]:
    """Return an answer to each item for each token."""
    return [[steady_answers.request(f"/api/v1/attempts/{token}", item) for item in items] for token in tokens]


def get(path: str, etag: str = "") -> bytes:
    """Return a request for a page, as a browser sends it; with the ETag of the one that it has."""
    known = f"If-None-Match: {etag}\r\n" if etag else ""
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Mozilla/5.0\r\nAccept: text/html\r\n"
    return f"{head}Accept-Language: en\r\nAccept-Encoding: gzip, deflate\r\n{known}\r\n".encode()


def main() -> None:
    """Measure by turns, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each turn")
    parser.add_argument("--database", default="mysql", choices=("mysql", "mariadb", "sqlite"))
    parser.add_argument("--check", action="store_true", help="exit 1 when a bound is missed")
    options = parser.parse_args()
    costs: dict[str, Costs] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as services:
        folder = Path(name)
        contenders = [
            services.enter_context(poolproof(options.database, folder)),
            services.enter_context(plain_gunicorn(FLASK, "flask_alone:app", folder / "flask")),
            services.enter_context(plain_gunicorn(BARE, "bare_wsgi:app", folder / "bare")),
        ]
        for _ in range(options.rounds):
            for service in contenders:
                for kind in service.requests:
                    measured = costs.setdefault(kind, Costs()).of.setdefault(service.name, [])
                    measured.append(measure(service, kind, options.seconds))
    for kind, found in costs.items():
        print_costs(kind, found)
    if options.check and not is_within_bounds(costs["answer"]):
        sys.exit(1)


def print_costs(kind: str, costs: Costs) -> None:
    """Print what a request of one kind costs each service."""
    print(f"{kind}: microseconds of the workers' processor time for one response, and times ours")
    for name, measured in costs.of.items():
        others = sum(cost.others for cost in measured)
        parts = f"main loop {costs.main_loop(name) * 1e6:4.0f}, threads"
        rest = (costs.median(name) - costs.main_loop(name)) * 1e6
        failed = f", {others} of another status" if others else ""
        print(f"  {name:<25} {costs.median(name) * 1e6:5.0f}  {costs.ratio(name):5.2f} ×  {parts} {rest:4.0f}{failed}")


def is_within_bounds(costs: Costs) -> bool:
    """Say whether an answer costs what it may."""
    return (
        costs.median(OURS) <= MAX_ANSWER_SECONDS and costs.ratio(FLASK) >= MIN_FLASK and costs.ratio(BARE) >= MIN_BARE
    )


if __name__ == "__main__":
    main()
