"""Measures what refused answers cost those who play on, and what the language of the server's messages costs.

    PYTHONPATH=. .venv/test/bin/python bench/refused_answers.py [--rounds 5] [--seconds 6] [--languages en_US,ko_KR]

Sixty-four honest players send answers as fast as they are acknowledged, on one service, by turns alone, beside ten
answers a second to attempts that take none, and beside four clients that go on answering on attempts that are finished,
or that are their players' second ones. With two languages the honest players alone are measured on a server of each, by
turns. Prints medians of the ratios and exits 1 when a bound is missed. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from sqlalchemy import create_engine

from bench import steady_answers
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.lab.factories import make_quiz
from webapp.lab.services.database_server import new_server
from webapp.lab.services.poolproof_service import run_poolproof_service

CONNECTIONS, CLIENTS = 64, 4
RATE = 10.0
"""Refused answers a second."""
UNDISTURBED, TRICKLE, FINISHED, SECOND = (
    "alone", "10 refused answers a second", "4 clients on finished attempts", "4 clients on second attempts",
)  # fmt: skip
REFUSED_BOUND, LANGUAGE_BOUND = 0.9, 0.95


@dataclass(frozen=True)
class Setup:
    """A service with a quiz: attempts that take answers, finished ones, and second ones of players."""

    port: int
    items: Sequence[int]
    open: Sequence[str]
    finished: Sequence[str]
    second: Sequence[str]

    def honest_rate(self, seconds: float) -> float:
        """Return the answers a second of the honest players; none of them is refused."""
        steady = steady_answers.answers(self.port, self.open, self.items, CONNECTIONS, seconds)
        if steady.others:
            sys.exit(f"{steady.others} honest answers were not acknowledged.")
        return steady.answers_per_second


@contextmanager
def service(folder: Path, *options: str) -> Iterator[Setup]:
    """Start a server with these options and a service on it."""
    server = new_server("mysql", folder / "server", "--max-connections=200", *options)
    try:
        server.create_database("bench")
        with run_poolproof_service(server.url("bench"), folder / "service", POOLPROOF_PLAYER_RATE_LIMIT="0") as running:
            engine = create_engine(server.url("bench"))
            version = make_quiz(UnitOfWork(engine), questions=10)
            engine.dispose()
            items = [item.item_id for item in version.document.questions]
            with httpx2.Client(base_url=running.address) as client:
                yield _setup(client, running.port, version.quiz_id, items)
    finally:
        server.stop()


def _setup(client: httpx2.Client, port: int, quiz: int, items: Sequence[int]) -> Setup:
    def start(player: str | None = None) -> tuple[str, str]:
        body = client.post(f"/api/v1/quizzes/{quiz}/attempts", json={"name": "Bench", "player": player}).json()
        return f"/api/v1/attempts/{body['token']}", body["player"]

    finished, second = [], []
    for _ in range(CLIENTS):
        path, player = start()
        client.post(f"{path}/finish").raise_for_status()
        finished.append(path)
        second.append(start(player)[0])
    return Setup(port, items, [start()[0] for _ in range(CONNECTIONS)], finished, second)


@contextmanager
def refused(setup: Setup, case: str, seconds: float) -> Iterator[None]:
    """Send what is refused until the block ends."""
    if case == UNDISTURBED:
        yield
        return
    done = threading.Event()
    with ThreadPoolExecutor(1) as executor:
        if case == TRICKLE:
            sending = executor.submit(_trickle, setup, done)
        else:
            paths = setup.finished if case == FINISHED else setup.second
            sending = executor.submit(_send_steadily, setup, paths, seconds + steady_answers.WARM_UP)
        try:
            yield
        finally:
            done.set()
            sending.result()


def _send_steadily(setup: Setup, paths: Sequence[str], seconds: float) -> None:
    steady_answers.answers(setup.port, paths, setup.items, CLIENTS, seconds)


def _trickle(setup: Setup, done: threading.Event) -> None:
    paths = [path for pair in zip(setup.finished, setup.second, strict=True) for path in pair]
    with httpx2.Client(base_url=f"http://127.0.0.1:{setup.port}") as client:
        number, next_at = 0, time.monotonic()
        while not done.wait(max(0.0, next_at - time.monotonic())):
            address = f"{paths[number % len(paths)]}/answers/{setup.items[number % len(setup.items)]}"
            if client.put(address, json={"choices": [0]}).status_code != httpx2.codes.CONFLICT:
                sys.exit("An answer was not refused.")
            number, next_at = number + 1, next_at + 1 / RATE


def by_turns(rounds: int, measures: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    """Measure by turns; return the median of each one's ratio to the first, and print every round."""
    first, *others = measures
    ratios: dict[str, list[float]] = {name: [] for name in others}
    for number in range(rounds):
        names = list(measures)[:: -1 if number % 2 else 1]
        rates = {name: measures[name]() for name in names}
        print(f"round {number + 1}: " + ", ".join(f"{name} {rates[name]:.0f}/s" for name in measures), flush=True)
        for name in others:
            ratios[name].append(rates[name] / rates[first])
    return {name: statistics.median(values) for name, values in ratios.items()}


def main() -> None:
    """Measure, print, and check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--languages", help="lc_messages of servers to compare, separated by commas; the first is 1")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        if options.languages:
            setups = {
                language: stack.enter_context(service(folder / language, f"--lc-messages={language}"))
                for language in options.languages.split(",")
            }
            bounds = dict.fromkeys(list(setups)[1:], LANGUAGE_BOUND)
            measures = {
                language: lambda setup=setup: setup.honest_rate(options.seconds) for language, setup in setups.items()
            }
        else:
            setup = stack.enter_context(service(folder))
            bounds = {TRICKLE: REFUSED_BOUND}

            def measure(case: str) -> float:
                with refused(setup, case, options.seconds):
                    return setup.honest_rate(options.seconds)

            measures = {case: (lambda case=case: measure(case)) for case in (UNDISTURBED, TRICKLE, FINISHED, SECOND)}
        medians = by_turns(options.rounds, measures)
    for name, ratio in medians.items():
        bound = f"   (bound ≥ {bounds[name]:g})" if name in bounds else ""
        print(f"  {name:<34} {ratio:.3f} ×{bound}")
    sys.exit(any(medians[name] < bound for name, bound in bounds.items()))


if __name__ == "__main__":
    main()
