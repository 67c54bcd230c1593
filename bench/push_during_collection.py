"""A push during a collection of 25,000 items per round, and the same push alone, in turn on one MySQL.

    PYTHONPATH=. .venv/test/bin/python bench/push_during_collection.py [--rounds 6] [--users 2000]

Prints the requests' p99 of each push and how many items the collection stored meanwhile, and exits 1 when the median
p99 during the collection is more than 10 % above the median alone, a request failed, or the collection did not continue
afterwards. Every other round begins with the collection, because each push has more attempts in the database than the
one before. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.lab.factories import make_quiz
from webapp.lab.services.database_server import new_server
from webapp.lab.services.fake_paged_api import FakePagedApi
from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof_service

MAX_P99_RATIO = 1.10
ITEMS_PER_ROUND = 25_000
SOURCE_CONFIG = """
name = "birds"
title = "Birds"
address = "{address}"
licence = "CC0"
[limits]
concurrency = 10
[paging]
kind = "page"
parameter = "page"
size_parameter = "limit"
size = 200
total = "meta.total"
[fields]
items = "data.results"
identity = "id"
stem = "stem"
right = "right"
wrong = "wrong[]"
"""


def records(count: int) -> list[dict[str, Any]]:
    """Return records of typical length."""
    return [
        {
            "id": number,
            "stem": f"Which of these birds was number {number} on the list that the society of the town kept?",
            "right": f"The bird that is called {number}",
            "wrong": [f"Another one, {number}-{other}" for other in range(3)],
        }
        for number in range(count)
    ]


def push(service: PoolproofService, slug: str, users: int) -> dict[str, Any]:
    """Push, and return the lab's report."""
    command = [sys.executable, "-m", "webapp", "lab", "push", "--users", str(users), "--ramp", "1", "--json"]
    done = subprocess.run(  # noqa: S603 - ours
        [*command, "--url", service.address, "--quiz", slug],
        env=service.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def p99(report: dict[str, Any]) -> float:
    """Return the largest p99 of the steps."""
    return max(float(step["p99"]) for step in report["steps"].values())


def measure(rounds: int, users: int) -> int:
    """Measure, print the results, and return the exit status."""
    with tempfile.TemporaryDirectory() as name, FakePagedApi(records(ITEMS_PER_ROUND * rounds)) as paged:
        folder = Path(name)
        server = new_server("mysql", folder / "server")
        server.create_database("poolproof")
        (folder / "service" / "sources").mkdir(parents=True)
        (folder / "service" / "sources" / "birds.toml").write_text(SOURCE_CONFIG.format(address=paged.address))
        engine = create_engine(server.url("poolproof"))
        try:
            with run_poolproof_service(
                server.url("poolproof"), folder / "service", POOLPROOF_COLLECTOR_PROCESSES="1"
            ) as service:
                return _run_rounds(service, engine, rounds, users)
        finally:
            engine.dispose()
            server.stop()


def _run_rounds(service: PoolproofService, engine: Any, rounds: int, users: int) -> int:
    work = UnitOfWork(engine)
    slug = make_quiz(work, questions=10).slug
    alone, during_collection, failed = [], [], 0

    def count_items() -> int:
        with engine.connect() as connection:
            return int(connection.scalar(text("SELECT COUNT(*) FROM item")) or 0)

    def push_during_collection(number: int) -> int:
        command = [sys.executable, "-m", "webapp", "collect", *(["run", "birds"] if number == 0 else ["resume", "1"])]
        collection = subprocess.Popen(  # noqa: S603 - ours
            command, env=service.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        initial_count = count_items()
        while count_items() < initial_count + 2000:
            time.sleep(0.2)
        count_before = count_items()
        during_collection.append(push(service, slug, users))
        stored_count = count_items() - count_before
        if number < rounds - 1:
            collection.terminate()
        collection.wait()
        return stored_count

    for number in range(rounds):
        stored_count = push_during_collection(number) if number % 2 else 0
        alone.append(push(service, slug, users))
        stored_count = stored_count or push_during_collection(number)
        failed += sum(during_collection[-1]["failed"].values()) + sum(alone[-1]["failed"].values())
        p99s = f"p99 alone {p99(alone[-1]):.3f} s, during a collection {p99(during_collection[-1]):.3f} s"
        print(f"round {number + 1}: {p99s}; {stored_count} items stored meanwhile", flush=True)
    total = count_items()
    ratio = statistics.median(map(p99, during_collection)) / statistics.median(map(p99, alone))
    is_met = ratio <= MAX_P99_RATIO and not failed and total >= ITEMS_PER_ROUND * rounds
    print(f"p99 during a collection / alone: {ratio:.3f} (bound ≤ {MAX_P99_RATIO})")
    print(f"{failed} requests failed; {total} items in the end")
    print("every bound met" if is_met else "MISSED")
    return 0 if is_met else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6, help="Number of rounds.")
    parser.add_argument("--users", type=int, default=2000, help="Users of each push.")
    options = parser.parse_args()
    sys.exit(measure(options.rounds, options.users))
