"""Fifty thousand items into the bank, every way there is, by turns on one MySQL.

    PYTHONPATH=. python bench/bulk.py [--items 50000] [--rounds 3] [--quick]

All fill the same table with all its indexes, the one of words included, each round anew, with one, four, ten and
twenty threads that have a connection each. The others are given rows that are ready, LOAD DATA (the limit) a file that
is; ours begins with drafts: its time includes their keys and words, and the look for duplicates in the bank. Prints
medians, and the processor time of an item in this process and in the server; exits 1 when a bound is missed. Nothing
else should run meanwhile.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from bench.bulk_methods import WAYS, Material, Way, begun, records
from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp import create_app
from webapp.bank import import_service, imports
from webapp.bank.formats.parse_result import Record
from webapp.lab.services.database_server import DatabaseServer, new_server
from webapp.schema import upgrade
from webapp.settings import ServiceSettings, Settings

THREADS = (1, import_service.WRITER_THREADS, 10, 20)
TIMES_ORM, SHARE_OF_LIMIT = 5.0, 0.5
WARM, MOST_GROWTH = 10_000, 16.0
"""Items after which memory is looked at first, and MiB that it may grow from there on."""
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Run:
    """What one way did in one round; processor times in microseconds an item."""

    items_per_second: float
    client: float
    server: float
    deadlocks: int


class Bank:
    """A server of its own with the bank's tables."""

    def __init__(self, folder: Path) -> None:
        """Start it and migrate."""
        self.server: DatabaseServer = new_server("mysql", folder / "server", "--max-connections=100")
        self.server.create_database("bank")
        (folder / "instance").mkdir()
        service = ServiceSettings(instance=folder / "instance", secret_key=SecretStr("k" * 40))
        url = self.server.url("bank")
        pool = PoolSettings(background_size=max(THREADS))
        app = create_app(Settings(database_url=url, pool=pool, poolproof=service))
        upgrade(app)
        self.work: UnitOfWork = app.extensions["pooling"].background

    def empty(self) -> None:
        """Make the table as new."""
        with closing(self.server.connect("bank")) as connection, connection.cursor() as cursor:
            cursor.execute("SET foreign_key_checks = 0")
            cursor.execute("TRUNCATE TABLE item")

    def count(self) -> int:
        """How many items there are."""
        return int(self.server.execute("SELECT COUNT(*) FROM item", database="bank")[0][0])

    def deadlocks(self) -> int:
        """How many there were since the server started."""
        metric = "SELECT count FROM information_schema.innodb_metrics WHERE name = 'lock_deadlocks'"
        return int(self.server.execute(metric)[0][0])

    def processor_seconds(self) -> float:
        """What the server has used so far."""
        assert self.server.process is not None  # noqa: S101 - it runs
        stat = Path(f"/proc/{self.server.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / TICKS


def measure(bank: Bank, way: Way, material: Material, threads: int) -> Run:
    """Let one way fill the empty table."""
    bank.empty()
    bank.server.execute(f"SET GLOBAL local_infile = {int(way.may_load)}")
    parts = material.parts(threads)
    deed = way.prepared(bank.server, bank.work, material, threads)
    deadlocks, server = bank.deadlocks(), bank.processor_seconds()
    client, began = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(deed, parts))
    seconds = time.perf_counter() - began
    client, server = time.process_time() - client, bank.processor_seconds() - server
    count = len(material.drafts)
    if bank.count() != count:
        sys.exit(f"{way.name}: {bank.count()} items are there, not {count}.")
    return Run(count / seconds, client / count * 1e6, server / count * 1e6, bank.deadlocks() - deadlocks)


def memory(bank: Bank, count: int) -> tuple[float, int, int]:
    """Import a stream that is never whole in memory, twice; return the MiB it grew, and what each import called new."""
    bank.empty()
    sizes: list[float] = []

    def watched() -> Iterator[Record]:
        for number, record in enumerate(records(count)):
            if number in {min(WARM, count // 2), count - 1}:
                sizes.append(int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 2**20)
            yield record

    reports = [imports.ImportReport(), imports.ImportReport()]
    for report in reports:
        imports.import_records(
            watched(),
            import_service.make_batch_handler(bank.work, begun(bank.work)),
            report,
            writers=import_service.WRITER_THREADS,
        )
    return sizes[1] - sizes[0], reports[0].new, reports[1].new


Found = dict[tuple[str, int], list[Run]]


def rates(found: Found, name: str) -> dict[int, float]:
    """Return a way's medians by threads."""
    return {
        threads: statistics.median(run.items_per_second for run in runs)
        for (way, threads), runs in found.items()
        if way == name
    }


def show(found: Found) -> None:
    """Print the table, as docs have it."""
    orm, limit = rates(found, "ORM add_all"), rates(found, "LOAD DATA LOCAL")
    print("\n| way | threads | items/s | × ORM | of LOAD DATA | µs here | µs in the server | deadlocks |")
    print("|---|---|---|---|---|---|---|---|")
    for (name, threads), runs in found.items():
        rate = rates(found, name)[threads]
        client, server = (statistics.median(getattr(run, side) for run in runs) for side in ("client", "server"))
        print(
            f"| {name} | {threads} | {rate:,.0f} | {rate / orm[threads]:.1f} | {rate / limit[threads]:.2f} "
            f"| {client:.0f} | {server:.0f} | {sum(run.deadlocks for run in runs)} |"
        )


def main() -> None:
    """Compare, print, judge."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--items", type=int, default=50_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--quick", action="store_true", help="10,000 items, one round, up to 4 threads")
    given = arguments.parse_args()
    items, rounds, all_threads = (10_000, 1, THREADS[:2]) if given.quick else (given.items, given.rounds, THREADS)
    missed = []

    def row(what: str, value: float, bound: float, *, at_most: bool = False, unit: str = "×") -> None:
        good = value <= bound if at_most else value >= bound
        missed.extend([] if good else [what])
        sign = "≤" if at_most else "≥"
        print(f"{'ok    ' if good else 'MISSED'} {what:<56} {value:8.2f} {unit:<3} (bound {sign} {bound:g})")

    with tempfile.TemporaryDirectory() as folder:
        bank = Bank(Path(folder))
        material = Material(items, Path(folder))
        found: Found = {(way.name, threads): [] for way in WAYS for threads in all_threads}
        for number in range(rounds):
            for way in _turned(WAYS, number):
                for threads in all_threads:
                    run = measure(bank, way, material, threads)
                    found[way.name, threads].append(run)
                    print(f"round {number + 1}: {way.name}, {threads}: {run.items_per_second:,.0f} items/s", flush=True)
        growth, new, new_again = memory(bank, items)
        bank.server.stop()
    show(found)
    ours, orm, limit = (rates(found, name) for name in ("ours, from drafts", "ORM add_all", "LOAD DATA LOCAL"))
    print(f"\nours at its best / ORM at its best: {max(ours.values()) / max(orm.values()):.2f} ×")
    print(f"one thread each: ours / ORM {ours[1] / orm[1]:.2f} ×, ours / LOAD DATA {ours[1] / limit[1]:.2f}")
    print(f"ours at its best / LOAD DATA at its best: {max(ours.values()) / max(limit.values()):.2f}")
    # A session belongs to one thread and a file to one LOAD DATA: what one person gets of each.
    as_it_is = ours[import_service.WRITER_THREADS]
    row("poolproof items import as it is / ORM add_all", as_it_is / orm[1], TIMES_ORM)
    row("poolproof items import as it is / LOAD DATA", as_it_is / limit[1], SHARE_OF_LIMIT)
    row("of items that are all new, an import calls new", new / items, 1)
    row("of the same once more", new_again / items, 0, at_most=True)
    row("memory, from there on", growth, MOST_GROWTH, at_most=True, unit="MiB")
    sys.exit(bool(missed))


def _turned(ways: Sequence[Way], number: int) -> Sequence[Way]:
    return [*ways[number % len(ways) :], *ways[: number % len(ways)]]


if __name__ == "__main__":
    main()
