"""Measures what clients who mean no good cost those who play, by turns with and without them.

    PYTHONPATH=. .venv/test/bin/python bench/hostile.py [--rounds 5] [--seconds 6] [--only silent,closing] [--check]

Each kind is beside ordinary players, who arrive at random moments on new connections: silent connections; clients that
ask for the end of a connection and don't hang up; that vanish in the middle of a PUT; that send a head, or a large
body, slowly; and more silent connections than the service may have open files. Prints the ordinary players' median and
p99 with and without, the medians of the ratios of the rounds, and whether a worker died. With --check it exits 1 beyond
the bounds. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import file_limits
from bench.hostile_clients import KINDS
from bench.ordinary_players import OrdinaryPlayers, Played
from poolproof.lab.reporting.latency import Latency
from webapp.lab.services.database_server import new_server
from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof_service
from webapp.lab.services.processes import start, stop

EMFILE = "emfile"
EMFILE_LIMIT = 256
EMFILE_CONNECTIONS = 400
"""More silent connections than the service may have open files."""
SETTLE = 2.0
"""Seconds from the start of the hostile clients to the measurement, and from their end to the next one."""
SIDES = ("alone", "beside")
BOUND, SILENT_BOUND = 2.0, 1.1
"""Most that the p99 of ordinary players may be multiplied by."""


@dataclass(frozen=True)
class Round:
    """A round: how ordinary players fared without and with the hostile ones, and whether a worker died."""

    alone: Played
    beside: Played
    is_worker_lost: bool

    @property
    def p99_ratio(self) -> float:
        """The p99 with, over the p99 without."""
        return self.beside.latency.p99 / (self.alone.latency.p99 or 1e-9)


@dataclass(frozen=True)
class Verdict:
    """A kind's rounds, against its bound."""

    kind: str
    rounds: Sequence[Round]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return statistics.median(each.p99_ratio for each in self.rounds)

    @property
    def is_within_bounds(self) -> bool:
        """Whether ordinary players were served as they should be."""
        failed = sum(each.beside.failed for each in self.rounds)
        bound = SILENT_BOUND if self.kind == "silent" else BOUND
        return self.ratio <= bound and not failed and not any(each.is_worker_lost for each in self.rounds)

    def line(self) -> str:
        """Return the figures in one line."""
        p50 = [
            statistics.median(times)
            for times in zip(*((r.alone.latency.p50, r.beside.latency.p50) for r in self.rounds), strict=True)
        ]
        p99 = [
            statistics.median(times)
            for times in zip(*((r.alone.latency.p99, r.beside.latency.p99) for r in self.rounds), strict=True)
        ]
        failed = [sum(counts) for counts in zip(*((r.alone.failed, r.beside.failed) for r in self.rounds), strict=True)]
        died = sum(each.is_worker_lost for each in self.rounds)
        return (
            f"{self.kind:<12}{p50[0]:>9.4f}{p50[1]:>9.4f}{p99[0]:>9.4f}{p99[1]:>9.4f}{self.ratio:>8.2f} ×"
            f"{failed[0]:>8}{failed[1]:>8}{died:>9}   {'ok' if self.is_within_bounds else 'BEYOND'}"
        )


def main() -> None:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0, help="for which ordinary players are measured in a turn")
    parser.add_argument("--rate", type=float, default=4.0, help="ordinary visitors a second")
    parser.add_argument("--only", help=f"of {', '.join([*KINDS, EMFILE])}, separated by commas")
    parser.add_argument("--database", choices=("mysql", "sqlite"), default="mysql")
    parser.add_argument("--check", action="store_true", help="exit 1 beyond the bounds")
    parser.add_argument("--json", type=Path, help="store all figures in this file")
    parser.add_argument("--kept", type=Path, help="measure nothing, and judge the figures that --json has stored here")
    file_limits.add_options(parser)
    options = parser.parse_args()
    verdicts = _load(options.kept) if options.kept else _measure_all(options)
    if options.json:
        options.json.write_text(json.dumps({each.kind: [asdict(one) for one in each.rounds] for each in verdicts}))
    if options.check and not all(verdict.is_within_bounds for verdict in verdicts):
        sys.exit(1)


def _load(kept: Path) -> list[Verdict]:
    """Print and return the verdicts on figures that were stored."""
    verdicts = []
    for kind, rounds in json.loads(kept.read_text()).items():
        sides = [
            {side: Played(Latency(**one[side]["latency"]), one[side]["failed"]) for side in SIDES} for one in rounds
        ]
        found = [Round(**side, is_worker_lost=one["is_worker_lost"]) for side, one in zip(sides, rounds, strict=True)]
        verdicts.append(Verdict(kind, found))
        print(verdicts[-1].line())
    return verdicts


def _measure_all(options: argparse.Namespace) -> list[Verdict]:
    kinds = options.only.split(",") if options.only else [*KINDS, EMFILE]
    print(f"{'':<12}{'p50':>9}{'beside':>9}{'p99':>9}{'beside':>9}{'ratio':>10}{'failed':>8}{'beside':>8}{'deaths':>9}")
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            with (
                _service(Path(folder) / kind, kind, options) as service,
                closing(OrdinaryPlayers(service.port, options.rate)) as players,
            ):
                rounds = [_measure(service, players, kind, options.seconds, seed) for seed in range(options.rounds)]
            verdicts.append(Verdict(kind, rounds))
            print(verdicts[-1].line(), flush=True)
    return verdicts


@contextmanager
def _service(folder: Path, kind: str, options: argparse.Namespace) -> Iterator[PoolproofService]:
    hard = EMFILE_LIMIT if kind == EMFILE else options.hard_files
    command = file_limits.limited(file_limits.SERVE, options.soft_files, hard)
    folder.mkdir(parents=True)
    with (
        _start_database(folder, options.database) as url,
        run_poolproof_service(url, folder, Path.cwd(), command) as service,
    ):
        yield service


@contextmanager
def _start_database(folder: Path, kind: str) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder}/hostile.db"
        return
    server = new_server("mysql", folder / "server")
    server.create_database("hostile")
    yield server.url("hostile")
    server.stop()


def _measure(service: PoolproofService, players: OrdinaryPlayers, kind: str, seconds: float, seed: int) -> Round:
    """Measure without and with the hostile clients; which comes first changes from round to round."""
    workers = service.workers()

    def play(*, beside: bool) -> Played:
        with _hostile(service, kind) if beside else nullcontext():
            time.sleep(SETTLE)
            return players.play(seconds, seed)

    if seed % 2:
        beside, alone = play(beside=True), play(beside=False)
    else:
        alone, beside = play(beside=False), play(beside=True)
    return Round(alone, beside, service.workers() != workers)


@contextmanager
def _hostile(service: PoolproofService, kind: str) -> Iterator[None]:
    name, count = ("silent", EMFILE_CONNECTIONS) if kind == EMFILE else (kind, KINDS[kind][0])
    program = Path(__file__).with_name("hostile_clients.py")
    command = [sys.executable, str(program), name, str(service.port), "--connections", str(count)]
    process = start("hostile clients", command, service.log.with_name("hostile.log"))
    try:
        yield
    finally:
        stop(process, 5.0)


if __name__ == "__main__":
    main()
