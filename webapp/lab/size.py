"""`poolproof lab size`: the right number of workers, threads and connections, by measuring."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import click
from flask import current_app
from sqlalchemy import make_url

from webapp.lab import keeping, reporting, size_report, witness, workload
from webapp.lab.direct import Direct
from webapp.lab.figures import Setting
from webapp.lab.keeping import hand_over, with_report_options
from webapp.lab.knee import Fitting, fitting
from webapp.lab.product import Product
from webapp.lab.schemas import NotALabError
from webapp.lab.services.service_process import NotServingError
from webapp.lab.sizing import Found, find
from webapp.lab.subject import SubjectError
from webapp.lab.sweep import Plan, Sweep, beyond, ladder
from webapp.lab.workload import WorkloadError
from webapp.lab.workplace import lab_schema
from webapp.pooling.budget import Fleet
from webapp.pooling.extension import pooling_of_this_app
from webapp.pooling.server import ServerFacts, read_facts
from webapp.settings import Settings

LATEST = "size-latest.json"
MINUTES, QUICK_MINUTES = 10.0, 1.0
MOST = 64
LOOKS_FOR = 1.0
"""Seconds before the sweep, in which the machine should have nothing to do."""


@dataclass(frozen=True)
class Wish:
    """The options."""

    load: workload.Workload | None
    """None: the product's own mix."""
    minutes: float
    is_quick: bool
    largest: int | None
    workers: int
    threads: int
    clients: int
    processes: int
    within: float
    repetitions: int
    seed: int
    times_all: bool
    lab_database: str | None


@click.command("size")
@click.option("--workload", "name", help="A TOML file, or cpu, row_lock or waiting. Default: Poolproof's own mix.")
@click.option("--minutes", type=click.FloatRange(0.1, 600), help="How long it may take.  [default: 10]")
@click.option("--quick", is_flag=True, help="A minute or two, for a first look; pool sizes only.")
@click.option("--largest", type=click.IntRange(3, 1000), help="The largest pool that is tried.")
@click.option("--workers", type=click.IntRange(1, 64), help="To begin with.  [default: POOLPROOF_WORKERS]")
@click.option("--threads", type=click.IntRange(1, 256), help="To begin with.  [default: POOLPROOF_THREADS]")
@click.option("--clients", default=64, show_default=True, type=click.IntRange(1, 4000), help="In the closed loop.")
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1, 64), help="For the clients.")
@click.option(
    "--within", default=0.05, show_default=True, type=click.FloatRange(0, 0.5), help="Of the best throughput."
)
@click.option("--repetitions", default=3, show_default=True, type=click.IntRange(2, 50))
@click.option("--seed", default=1, show_default=True, help="Of the order and the arrivals.")
@click.option("--time-all", "times_all", is_flag=True, help="Measure the latency of every size, also of poor ones.")
@click.option("--lab-database", help="An empty schema to work in, where the account may not create one.")
@with_report_options
def command(
    *, name: str | None, minutes: float | None, quick: bool, as_json: bool, folder: Path | None, **more: Any
) -> None:
    """Find the right number of workers, threads and connections, by measuring."""
    settings: Settings = current_app.config["SETTINGS"]
    try:
        load = workload.load(name) if name else None
        threads = more.pop("threads") or (load.threads if load else settings.poolproof.threads)
        workers = 1 if load else more.pop("workers") or settings.poolproof.workers
        more.pop("workers", None)
        lasts = minutes or (QUICK_MINUTES if quick else MINUTES)
        wish = Wish(load=load, minutes=lasts, is_quick=quick, workers=workers, threads=threads, **more)
        found = measure(settings, wish)
    except (WorkloadError, NotALabError, SubjectError, NotServingError) as error:
        raise click.ClickException(str(error)) from error
    page = hand_over(found, folder, as_json=as_json)
    keep_latest(found, page.parent)
    if not as_json:
        click.echo(f"\n{found.settings}")


def keep_latest(found: reporting.Report, folder: Path) -> None:
    """Keep what is recommended, for the console to compare with; what was stopped early recommends nothing for long."""
    if found.is_complete:
        (folder / LATEST).write_text(json.dumps(found.data["recommended"], indent=1), encoding="utf-8")


def measure(settings: Settings, wish: Wish) -> reporting.Report:
    """Sweep in a schema of the lab's own, and return the report.

    Raises:
        NotALabError, SubjectError, NotServingError: when nothing can be measured.
    """
    with pooling_of_this_app().console.read() as connection:
        facts = read_facts(connection)
    busy_before = witness.machine_share(LOOKS_FOR)
    with _terminating(), lab_schema(settings.database_url, wish.lab_database) as url:
        bench = _bench(url, settings, wish)
        try:
            plan = plan_of(wish, facts).fitted_to(wish.minutes, bench.overhead)
            progress = keeping.Progress(plan.lasts(bench.overhead))
            sweep = Sweep(bench, plan, lambda at: progress.say(f"{at.number} of {at.of}: {at.said}", left=at.left))
            sweep.run()
            progress.end()
        finally:
            bench.close()
    is_here = witness.is_here(make_url(settings.database_url).host or "localhost")
    chosen = sweep.chosen or plan.base
    found = find(sweep.measured, chosen, sweep.rate, wish.within, server_is_here=is_here)
    return size_report.report(
        found, _fitting(found, settings, facts), sweep.measured, _told(settings, wish, sweep, busy_before)
    )


def plan_of(wish: Wish, facts: ServerFacts) -> Plan:
    """Return what is varied."""
    room = (facts.max_connections or MOST) - facts.others - 2
    wanted = wish.largest or (beyond(wish.threads) if wish.load else wish.threads)
    base = Setting(1, wish.threads, wish.workers)
    pools = ladder(max(1, min(wanted, room // wish.workers)))
    plan = Plan(base, pools, repetitions=wish.repetitions, within=wish.within, seed=wish.seed, times_all=wish.times_all)
    if wish.load or wish.is_quick:
        return plan
    threads = tuple(sorted({max(1, wish.threads // 2), wish.threads, wish.threads * 2}))
    workers = tuple(range(1, max(wish.workers, os.cpu_count() or 1) + 2))
    return replace(plan, threads=threads, workers=workers, compares_grouping=True)


def _bench(url: str, settings: Settings, wish: Wish) -> Direct | Product:
    if wish.load is not None:
        return Direct(url, wish.load, settings.pool)
    return Product(url, settings.pool, wish.clients, wish.processes)


def _fitting(found: Found | None, settings: Settings, facts: ServerFacts) -> Fitting | None:
    if found is None:
        return None
    setting = found.setting
    fleet = Fleet(setting.workers, setting.threads, settings.poolproof.background_processes)
    return fitting(setting.pool, fleet, settings.pool, facts)


def _told(settings: Settings, wish: Wish, sweep: Sweep, busy_before: float | None) -> size_report.Circumstances:
    return size_report.Circumstances(
        what=wish.load.title if wish.load else "Poolproof's own mix",
        database=settings.shown_database_url,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        command=_command(wish),
        background_processes=settings.poolproof.background_processes,
        busy_before=busy_before,
        planned=sum(sweep.plan.runs),
        is_complete=sweep.is_complete,
    )


def _command(wish: Wish) -> str:
    """Return what repeats it; the address of the lab's schema may have a password in it."""
    given = ["poolproof", *sys.argv[1:]]
    return shlex.join(one if one != wish.lab_database else "URL" for one in given)


@contextmanager
def _terminating() -> Iterator[None]:
    """Let an end from outside be one like Ctrl-C: the schema is dropped, and what was measured is kept."""

    def stop(number: int, frame: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
