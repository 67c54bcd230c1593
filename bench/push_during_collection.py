"""A push while a collection of 25,000 items for each round runs, and the same push alone, by turns on one MySQL.

    PYTHONPATH=. .venv/test/bin/python bench/push_during_collection.py [--rounds 6] [--users 2000]

Prints the requests' p99 of each push and what the collection has stored meanwhile, and exits 1 when the median p99
beside the collection is more than 10 % above the median alone, somebody met with an error, or the collection did not
go on afterwards. Every other round begins with the collection: each push finds more attempts in the database than the
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

BOUND = 1.10
ITEMS = 25_000
"""For each round."""
SOURCE = """
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
    """Make records of a usual length."""
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
    """Return the worst p99 of the steps."""
    return max(float(step["p99"]) for step in report["steps"].values())


def measure(rounds: int, users: int) -> int:
    """Measure, print, and return the exit status."""
    with tempfile.TemporaryDirectory() as name, FakePagedApi(records(ITEMS * rounds)) as paged:
        folder = Path(name)
        server = new_server("mysql", folder / "server")
        server.create_database("poolproof")
        (folder / "service" / "sources").mkdir(parents=True)
        (folder / "service" / "sources" / "birds.toml").write_text(SOURCE.format(address=paged.address))
        engine = create_engine(server.url("poolproof"))
        try:
            with run_poolproof_service(
                server.url("poolproof"), folder / "service", POOLPROOF_COLLECTOR_PROCESSES="1"
            ) as service:
                return _rounds(service, engine, rounds, users)
        finally:
            engine.dispose()
            server.stop()


def _rounds(service: PoolproofService, engine: Any, rounds: int, users: int) -> int:
    work = UnitOfWork(engine)
    slug = make_quiz(work, questions=10).slug
    alone, beside, failed = [], [], 0

    def stored() -> int:
        with engine.connect() as connection:
            return int(connection.scalar(text("SELECT COUNT(*) FROM item")) or 0)

    def push_beside(number: int) -> int:
        collect = [sys.executable, "-m", "webapp", "collect", *(["birds"] if number == 0 else ["--resume", "1"])]
        collection = subprocess.Popen(  # noqa: S603 - ours
            collect, env=service.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        begun = stored()
        while stored() < begun + 2000:
            time.sleep(0.2)
        before = stored()
        beside.append(push(service, slug, users))
        during = stored() - before
        if number < rounds - 1:
            collection.terminate()
        collection.wait()
        return during

    for number in range(rounds):
        during = push_beside(number) if number % 2 else 0
        alone.append(push(service, slug, users))
        during = during or push_beside(number)
        failed += sum(beside[-1]["failed"].values()) + sum(alone[-1]["failed"].values())
        told = f"p99 alone {p99(alone[-1]):.3f} s, beside {p99(beside[-1]):.3f} s; {during} items stored meanwhile"
        print(f"round {number + 1}: {told}", flush=True)
    total = stored()
    ratio = statistics.median(map(p99, beside)) / statistics.median(map(p99, alone))
    is_met = ratio <= BOUND and not failed and total >= ITEMS * rounds
    print(f"p99 beside a collection / alone: {ratio:.3f} (bound ≤ {BOUND}); {failed} failed; {total} items in the end")
    print("every bound met" if is_met else "MISSED")
    return 0 if is_met else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--users", type=int, default=2000)
    given = parser.parse_args()
    sys.exit(measure(given.rounds, given.users))
