"""What watching costs: steady answers with everything watched, and with nothing, by turns on one MySQL.

    PYTHONPATH=. .venv/test/bin/python bench/observability_cost.py [--rounds 9]

Watched: statistics of pools and requests, the fleet's files, the history, an operator's page that asks every second
with its whole overview, and a scrape of /metrics every second. Unwatched: POOL_METRICS=false and no console.
Prints the medians of answers a second and of the workers' processor time an answer, and exits 1 when watching takes
3 % of throughput or more. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from sqlalchemy import create_engine

from bench import steady_answers
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.lab.factories import make_quiz
from webapp.lab.services.console_operator import add_operator, signed_in
from webapp.lab.services.database_server import DatabaseServer, new_server
from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof_service

CONNECTIONS = 64
BOUND = 0.97
TICKS = os.sysconf("SC_CLK_TCK")
NOT_LIMITED = {"POOLPROOF_PLAYER_RATE_LIMIT": "0"}
UNWATCHED = {"POOL_METRICS": "false", "POOLPROOF_CONSOLE_BIND": "off"}


@contextmanager
def looked_at(service: PoolproofService) -> Iterator[None]:
    """An operator's open page, and Prometheus."""
    add_operator(service.environment)
    done = threading.Event()
    with signed_in(service) as one:
        operator = one.client

        def look() -> None:
            while not done.wait(1.0):
                operator.get("/console?part=live").raise_for_status()
                httpx2.get(f"{service.console}/metrics").raise_for_status()

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def processor_seconds(service: PoolproofService) -> float:
    """Return what the workers have used so far."""
    stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in service.workers()]
    return sum(int(one[11]) + int(one[12]) for one in stats) / TICKS


def measure(server: DatabaseServer, folder: Path, seconds: float, *, is_watched: bool) -> tuple[float, float]:
    """Return answers a second, and the workers' microseconds of processor time an answer."""
    database = folder.name
    server.create_database(database)
    variables = NOT_LIMITED if is_watched else NOT_LIMITED | UNWATCHED
    with run_poolproof_service(server.url(database), folder, **variables) as service:
        engine = create_engine(server.url(database))
        version = make_quiz(UnitOfWork(engine), questions=10)
        engine.dispose()
        port = service.port
        start = f"{service.address}/api/v1/quizzes/{version.quiz_id}/attempts"
        tokens = [httpx2.post(start, json={"name": "Steady"}).json()["token"] for _ in range(CONNECTIONS)]
        items = [one.item_id for one in version.document.questions]
        addresses = [f"/api/v1/attempts/{token}" for token in tokens]
        before = processor_seconds(service)
        if is_watched:
            with looked_at(service):
                found = steady_answers.answers(port, addresses, items, CONNECTIONS, seconds)
        else:
            found = steady_answers.answers(port, addresses, items, CONNECTIONS, seconds)
        used = processor_seconds(service) - before
        if found.others:
            sys.exit(f"{found.others} answers were not acknowledged.")
    return found.answers_per_second, used / (found.answers_per_second * (seconds + steady_answers.WARM_UP)) * 1e6


def main() -> None:
    """Compare, print, judge."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=9)
    arguments.add_argument("--seconds", type=float, default=6.0)
    given = arguments.parse_args()
    ratios, costs, rates = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        server = new_server("mysql", Path(folder) / "server", "--max-connections=200")
        for number in range(given.rounds):
            order = (True, False) if number % 2 else (False, True)
            pair = {
                watched: measure(
                    server, Path(folder) / f"watching_{number}_{watched}", given.seconds, is_watched=watched
                )
                for watched in order
            }
            ratios.append(pair[True][0] / pair[False][0])
            costs.append(pair[True][1] / pair[False][1])
            rates.append((pair[True][0], pair[False][0]))
            print(
                f"round {number + 1}: watched {pair[True][0]:.0f} answers/s, unwatched {pair[False][0]:.0f}", flush=True
            )
        server.stop()
    throughput, cost = statistics.median(ratios), statistics.median(costs)
    watched, unwatched = (statistics.median(column) for column in zip(*rates, strict=True))
    print(f"medians: {watched:.0f} answers/s watched, {unwatched:.0f} unwatched")
    print(f"  throughput, watched / unwatched                  {throughput:.3f} ×   (bound > {BOUND})")
    print(f"  the workers' processor time an answer            {cost:.3f} ×")
    sys.exit(throughput <= BOUND)


if __name__ == "__main__":
    main()
