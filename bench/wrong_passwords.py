"""Measures what guessing passwords costs the players, and the user whose password is guessed.

    PYTHONPATH=. .venv/test/bin/python bench/wrong_passwords.py [--rounds 3] [--alone 15] [--guessing 30] [--mysql]

A service with default settings; an attempt's page is requested at a steady rate, by turns alone and beside forty
connections that send wrong passwords as fast as they are answered, half of them for one name. The owner of that name
signs in meanwhile, again and again, on a device that has signed in before. Prints the medians, the median of their
ratios and the owner's times, and exits 1 when a bound is missed. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from webapp.first_start import FIRST_AUTHOR
from webapp.lab.loadgen.password_guessing import guess_passwords, measure_page
from webapp.lab.loadgen.signing_in import NotSignedInError, sign_in
from webapp.lab.services.database_server import new_server
from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof_service

CONNECTIONS, PAGE_RATE, OWNER_INTERVAL = 40, 20.0, 3.0
RATIO_BOUND, OWNER_BOUND = 2.0, 1.0
"""Of the page's medians; and seconds in which the owner is signed in, at the median."""


@dataclass(frozen=True)
class Round:
    """The page's times alone and beside the guesses, the owner's times, and the statuses of the guesses' responses."""

    alone: list[float]
    beside: list[float]
    owner: list[float]
    refusals: int
    statuses: Counter[int]

    @property
    def ratio(self) -> float:
        """How many times longer the page took beside the guesses."""
        return statistics.median(self.beside) / statistics.median(self.alone)


@contextmanager
def service(*, on_mysql: bool) -> Iterator[PoolproofService]:
    """Start a service with default settings, on SQLite or on a MySQL of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not on_mysql:
            with run_poolproof_service(f"sqlite:///{folder / 'quiz.sqlite'}", folder / "service") as running:
                yield running
            return
        server = new_server("mysql", folder / "server")
        try:
            server.create_database("bench")
            with run_poolproof_service(server.url("bench"), folder / "service") as running:
                yield running
        finally:
            server.stop()


def attempt_page(running: PoolproofService) -> str:
    """Start an attempt and return the path of its page."""
    with httpx2.Client(base_url=running.address) as client:
        quiz = client.get("/api/v1/quizzes").json()["quizzes"][0]["id"]
        token = client.post(f"/api/v1/quizzes/{quiz}/attempts", json={}).raise_for_status().json()["token"]
    return f"/attempts/{token}"


def sign_in_again_and_again(owner: httpx2.Client, password: str, done: threading.Event) -> tuple[list[float], int]:
    """Sign in as the owner until `done`; return the times, and how many sign-ins were refused."""
    times, refusals = [], 0
    while not done.wait(OWNER_INTERVAL):
        try:
            times.append(sign_in(owner, FIRST_AUTHOR, password))
        except NotSignedInError:
            refusals += 1
    return times, refusals


def measure(running: PoolproofService, owner: httpx2.Client, page: str, alone: float, guessing: float) -> Round:
    """Measure one round."""
    times = measure_page(running.address, page, alone, PAGE_RATE)
    done = threading.Event()
    with (
        ThreadPoolExecutor(1) as executor,
        guess_passwords(running.port, FIRST_AUTHOR, CONNECTIONS, guessing) as guesses,
    ):
        signing_in = executor.submit(sign_in_again_and_again, owner, running.password, done)
        beside = measure_page(running.address, page, guessing, PAGE_RATE)
        done.set()
        owner_times, refusals = signing_in.result()
        return Round(times, beside, owner_times, refusals, guesses.result())


def main() -> None:
    """Measure, print, and check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", type=float, default=15.0)
    parser.add_argument("--guessing", type=float, default=30.0)
    parser.add_argument("--mysql", action="store_true", help="on a MySQL of its own, not on SQLite")
    options = parser.parse_args()
    rounds = []
    with service(on_mysql=options.mysql) as running, httpx2.Client(base_url=running.address, timeout=60) as owner:
        page = attempt_page(running)
        sign_in(owner, FIRST_AUTHOR, running.password)
        for number in range(options.rounds):
            one = measure(running, owner, page, options.alone, options.guessing)
            rounds.append(one)
            print(
                f"round {number + 1}: the page alone {statistics.median(one.alone) * 1000:.1f} ms, "
                f"beside {statistics.median(one.beside) * 1000:.1f} ms, {one.ratio:.2f} ×; "
                f"guesses by status: {dict(sorted(one.statuses.items()))}",
                flush=True,
            )
            time.sleep(1)
    ratio = statistics.median(one.ratio for one in rounds)
    owner_times = [seconds for one in rounds for seconds in one.owner]
    refusals = sum(one.refusals for one in rounds)
    print(f"  ratio of the page's medians  {ratio:.2f} ×   (bound ≤ {RATIO_BOUND:g})")
    print(
        f"  the owner signs in           {statistics.median(owner_times):.2f} s, at most {max(owner_times):.2f} s, "
        f"{len(owner_times)} times, {refusals} refused   (bound ≤ {OWNER_BOUND:g} s, 0 refused)"
    )
    sys.exit(ratio > RATIO_BOUND or statistics.median(owner_times) > OWNER_BOUND or refusals > 0)


if __name__ == "__main__":
    main()
