"""Measures what observability costs: steady answers with all of it and with none, by turns on one MySQL.

    PYTHONPATH=. .venv/test/bin/python bench/observability_cost.py [--rounds 9]

With: statistics of pools and requests, the fleet's files, the history, an operator's page that reads the overview
every second, and a scrape of /metrics every second. Without: POOL_METRICS=false and no console. Prints the medians of
answers a second and of the workers' processor time for an answer, and exits 1 when observability costs 3 % of
throughput or more. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
from sqlalchemy import create_engine

from bench import steady_answers
from poolproof.lab.sizing.resource_sampler import cpu_seconds
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.lab.factories import make_quiz
from webapp.lab.services.console_operator import add_operator, signed_in
from webapp.lab.services.database_server import DatabaseServer, new_server
from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof_service

CONNECTIONS = 64
BOUND = 0.97
NOT_LIMITED = {"POOLPROOF_PLAYER_RATE_LIMIT": "0"}
NOT_OBSERVED = {"POOL_METRICS": "false", "POOLPROOF_CONSOLE_BIND": "off"}


@contextmanager
def observed(service: PoolproofService) -> Iterator[None]:
    """Read the console and the metrics every second, as an operator's page and Prometheus do."""
    add_operator(service.environment)
    done = threading.Event()
    with signed_in(service) as operator:

        def poll() -> None:
            while not done.wait(1.0):
                operator.client.get("/console?part=live").raise_for_status()
                httpx2.get(f"{service.console}/metrics").raise_for_status()

        with ThreadPoolExecutor(1) as executor:
            executor.submit(poll)
            try:
                yield
            finally:
                done.set()


def processor_seconds(service: PoolproofService) -> float:
    """Return the processor time that the workers have used so far."""
    return sum(cpu_seconds(pid) or 0.0 for pid in service.workers())


def measure(server: DatabaseServer, folder: Path, seconds: float, *, is_observed: bool) -> tuple[float, float]:
    """Return answers a second, and the workers' microseconds of processor time an answer."""
    database = folder.name
    server.create_database(database)
    variables = NOT_LIMITED if is_observed else NOT_LIMITED | NOT_OBSERVED
    with run_poolproof_service(server.url(database), folder, **variables) as service:
        engine = create_engine(server.url(database))
        version = make_quiz(UnitOfWork(engine), questions=10)
        engine.dispose()
        port = service.port
        start = f"{service.address}/api/v1/quizzes/{version.quiz_id}/attempts"
        tokens = [httpx2.post(start, json={"name": "Steady"}).json()["token"] for _ in range(CONNECTIONS)]
        items = [item.item_id for item in version.document.questions]
        paths = [f"/api/v1/attempts/{token}" for token in tokens]
        before = processor_seconds(service)
        if is_observed:
            with observed(service):
                steady = steady_answers.answers(port, paths, items, CONNECTIONS, seconds)
        else:
            steady = steady_answers.answers(port, paths, items, CONNECTIONS, seconds)
        cpu = processor_seconds(service) - before
        if steady.others:
            sys.exit(f"{steady.others} answers were not acknowledged.")
    return steady.answers_per_second, cpu / (steady.answers_per_second * (seconds + steady_answers.WARM_UP)) * 1e6


def main() -> None:
    """Measure, print, and check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=6.0)
    options = parser.parse_args()
    ratios, costs, rates = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        server = new_server("mysql", Path(folder) / "server", "--max-connections=200")
        for number in range(options.rounds):
            order = (True, False) if number % 2 else (False, True)
            pair = {
                is_observed: measure(
                    server, Path(folder) / f"observed_{number}_{is_observed}", options.seconds, is_observed=is_observed
                )
                for is_observed in order
            }
            ratios.append(pair[True][0] / pair[False][0])
            costs.append(pair[True][1] / pair[False][1])
            rates.append((pair[True][0], pair[False][0]))
            print(
                f"round {number + 1}: observed {pair[True][0]:.0f} answers/s, not observed {pair[False][0]:.0f}",
                flush=True,
            )
        server.stop()
    throughput, cost = statistics.median(ratios), statistics.median(costs)
    observed_rate, unobserved_rate = (statistics.median(column) for column in zip(*rates, strict=True))
    print(f"medians: {observed_rate:.0f} answers/s observed, {unobserved_rate:.0f} not observed")
    print(f"  throughput, observed / not observed              {throughput:.3f} ×   (bound > {BOUND})")
    print(f"  the workers' processor time an answer            {cost:.3f} ×")
    sys.exit(throughput <= BOUND)


if __name__ == "__main__":
    main()
