"""Insert fifty thousand items into the bank by every method, in turn on one MySQL.

    PYTHONPATH=. python bench/bulk.py [--items 50000] [--rounds 3] [--quick]

All methods fill the same empty table with all its indexes, the full-text index included, with one, four, ten and
twenty threads that have a connection each. The reference methods get prepared rows, LOAD DATA (the upper limit) a
prepared file; ours begins with drafts: its time includes computing their keys and words, and finding duplicates in the
bank. Prints medians, and the processor time of an item in this process and in the server; exits 1 when a bound is
missed. Nothing else should run meanwhile.
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

from bench.bulk_methods import METHODS, InsertMethod, Material, create_import, records
from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp import create_app
from webapp.bank import import_service, imports
from webapp.bank.formats.parse_result import Record
from webapp.lab.services.database_server import DatabaseServer, new_server
from webapp.schema import upgrade
from webapp.settings import ServiceSettings, Settings

THREADS = (1, import_service.WRITER_THREADS, 10, 20)
MIN_TIMES_ORM, MIN_SHARE_OF_LIMIT = 5.0, 0.5
WARM_UP_ITEMS, MAX_GROWTH_MIB = 10_000, 16.0
"""Items after which memory is first measured, and the MiB that it may grow afterwards."""
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Run:
    """The result of a method in one round; processor times in microseconds per item."""

    items_per_second: float
    client: float
    server: float
    deadlocks: int


class Bank:
    """A database server of its own with the bank's tables."""

    def __init__(self, folder: Path) -> None:
        """Start the server and create the tables."""
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
        """Empty the table."""
        with closing(self.server.connect("bank")) as connection, connection.cursor() as cursor:
            cursor.execute("SET foreign_key_checks = 0")
            cursor.execute("TRUNCATE TABLE item")

    def count(self) -> int:
        """Return the number of items."""
        return int(self.server.execute("SELECT COUNT(*) FROM item", database="bank")[0][0])

    def deadlocks(self) -> int:
        """Return the number of deadlocks since the server started."""
        metric = "SELECT count FROM information_schema.innodb_metrics WHERE name = 'lock_deadlocks'"
        return int(self.server.execute(metric)[0][0])

    def processor_seconds(self) -> float:
        """Return the processor time that the server has used."""
        assert self.server.process is not None  # noqa: S101 - it is running
        stat = Path(f"/proc/{self.server.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / TICKS


def measure(bank: Bank, method: InsertMethod, material: Material, threads: int) -> Run:
    """Fill the empty table by a method."""
    bank.empty()
    bank.server.execute(f"SET GLOBAL local_infile = {int(method.allows_load_data)}")
    parts = material.parts(threads)
    task = method.prepare(bank.server, bank.work, material, threads)
    deadlocks, server = bank.deadlocks(), bank.processor_seconds()
    client, began = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(task, parts))
    seconds = time.perf_counter() - began
    client, server = time.process_time() - client, bank.processor_seconds() - server
    count = len(material.drafts)
    if bank.count() != count:
        sys.exit(f"{method.name}: {bank.count()} items are there, not {count}.")
    return Run(count / seconds, client / count * 1e6, server / count * 1e6, bank.deadlocks() - deadlocks)


def memory(bank: Bank, count: int) -> tuple[float, int, int]:
    """Import a stream twice; return the MiB that memory grew, and how many items each import counted as new."""
    bank.empty()
    sizes: list[float] = []

    def measured_records() -> Iterator[Record]:
        for number, record in enumerate(records(count)):
            if number in {min(WARM_UP_ITEMS, count // 2), count - 1}:
                sizes.append(int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 2**20)
            yield record

    reports = [imports.ImportReport(), imports.ImportReport()]
    for report in reports:
        imports.import_records(
            measured_records(),
            import_service.make_batch_handler(bank.work, create_import(bank.work)),
            report,
            writers=import_service.WRITER_THREADS,
        )
    return sizes[1] - sizes[0], reports[0].new, reports[1].new


Results = dict[tuple[str, int], list[Run]]


def rates(results: Results, name: str) -> dict[int, float]:
    """Return a method's medians by threads."""
    return {
        threads: statistics.median(run.items_per_second for run in runs)
        for (method, threads), runs in results.items()
        if method == name
    }


def show(results: Results) -> None:
    """Print the results as the table of docs/bulk.md."""
    orm, limit = rates(results, "ORM add_all"), rates(results, "LOAD DATA LOCAL")
    print("\n| method | threads | items/s | × ORM | of LOAD DATA | µs here | µs in the server | deadlocks |")
    print("|---|---|---|---|---|---|---|---|")
    for (name, threads), runs in results.items():
        rate = rates(results, name)[threads]
        client, server = (statistics.median(getattr(run, side) for run in runs) for side in ("client", "server"))
        print(
            f"| {name} | {threads} | {rate:,.0f} | {rate / orm[threads]:.1f} | {rate / limit[threads]:.2f} "
            f"| {client:.0f} | {server:.0f} | {sum(run.deadlocks for run in runs)} |"
        )


def main() -> None:
    """Compare the methods, print the results, check the bounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=50_000, help="Number of items.")
    parser.add_argument("--rounds", type=int, default=3, help="How often each method is measured.")
    parser.add_argument("--quick", action="store_true", help="Measure 10,000 items in one round with up to 4 threads.")
    options = parser.parse_args()
    items, rounds, all_threads = (10_000, 1, THREADS[:2]) if options.quick else (options.items, options.rounds, THREADS)
    missed = []

    def check(name: str, value: float, bound: float, *, at_most: bool = False, unit: str = "×") -> None:
        is_met = value <= bound if at_most else value >= bound
        missed.extend([] if is_met else [name])
        sign = "≤" if at_most else "≥"
        print(f"{'ok    ' if is_met else 'MISSED'} {name:<56} {value:8.2f} {unit:<3} (bound {sign} {bound:g})")

    with tempfile.TemporaryDirectory() as folder:
        bank = Bank(Path(folder))
        material = Material(items, Path(folder))
        results: Results = {(method.name, threads): [] for method in METHODS for threads in all_threads}
        for number in range(rounds):
            for method in _rotated(METHODS, number):
                for threads in all_threads:
                    run = measure(bank, method, material, threads)
                    results[method.name, threads].append(run)
                    print(
                        f"round {number + 1}: {method.name}, {threads}: {run.items_per_second:,.0f} items/s", flush=True
                    )
        growth, new, new_again = memory(bank, items)
        bank.server.stop()
    show(results)
    ours, orm, limit = (rates(results, name) for name in ("ours, from drafts", "ORM add_all", "LOAD DATA LOCAL"))
    print(f"\nours at its best / ORM at its best: {max(ours.values()) / max(orm.values()):.2f} ×")
    print(f"one thread each: ours / ORM {ours[1] / orm[1]:.2f} ×, ours / LOAD DATA {ours[1] / limit[1]:.2f}")
    print(f"ours at its best / LOAD DATA at its best: {max(ours.values()) / max(limit.values()):.2f}")
    # A session belongs to one thread and a file to one LOAD DATA statement: so these are compared with one thread.
    actual = ours[import_service.WRITER_THREADS]
    check("poolproof items import as it is / ORM add_all", actual / orm[1], MIN_TIMES_ORM)
    check("poolproof items import as it is / LOAD DATA", actual / limit[1], MIN_SHARE_OF_LIMIT)
    check("of items that are all new, an import calls new", new / items, 1)
    check("of the same once more", new_again / items, 0, at_most=True)
    check("memory, from there on", growth, MAX_GROWTH_MIB, at_most=True, unit="MiB")
    sys.exit(bool(missed))


def _rotated(methods: Sequence[InsertMethod], number: int) -> Sequence[InsertMethod]:
    return [*methods[number % len(methods) :], *methods[: number % len(methods)]]


if __name__ == "__main__":
    main()
