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

from poolproof.capacity.budget import FleetSize
from poolproof.capacity.server_info import ServerInfo, read_server_info
from poolproof.integrations.flask_ext import get_pooling
from webapp.lab.reporting import report as reporting_report
from webapp.lab.reporting import report_output
from webapp.lab.reporting.report_output import output_report, with_report_options
from webapp.lab.services.scratch_schema import ScratchSchemaError
from webapp.lab.services.service_process import NotServingError
from webapp.lab.sizing import report as sizing_report
from webapp.lab.sizing import resource_sampler, workload
from webapp.lab.sizing.analysis import Recommendation, recommend
from webapp.lab.sizing.measurements import Setting
from webapp.lab.sizing.pool_workload import WorkloadRunError
from webapp.lab.sizing.recommendation import FittedSize, fit_to_server
from webapp.lab.sizing.scratch_schema import scratch_schema
from webapp.lab.sizing.service_bench import ServiceBench
from webapp.lab.sizing.sweep import Sweep, SweepPlan, next_size_above, sizes_up_to
from webapp.lab.sizing.workload import WorkloadError
from webapp.lab.sizing.workload_bench import WorkloadBench
from webapp.settings import Settings

LATEST_FILE = "size-latest.json"
DEFAULT_MINUTES, QUICK_MINUTES = 10.0, 1.0
DEFAULT_MAX_CONNECTIONS = 64
CPU_SAMPLE_DURATION = 1.0
"""Seconds before the sweep, in which the machine should have nothing to do."""


@dataclass(frozen=True)
class SizeOptions:
    """The options."""

    custom_workload: workload.Workload | None
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
        load = workload.load_workload(name) if name else None
        threads = more.pop("threads") or (load.threads if load else settings.poolproof.threads)
        workers = 1 if load else more.pop("workers") or settings.poolproof.workers
        more.pop("workers", None)
        lasts = minutes or (QUICK_MINUTES if quick else DEFAULT_MINUTES)
        wish = SizeOptions(
            custom_workload=load, minutes=lasts, is_quick=quick, workers=workers, threads=threads, **more
        )
        found = run_sweep(settings, wish)
    except (WorkloadError, ScratchSchemaError, WorkloadRunError, NotServingError) as error:
        raise click.ClickException(str(error)) from error
    page = output_report(found, folder, as_json=as_json)
    save_latest(found, page.parent)
    if not as_json:
        click.echo(f"\n{found.settings}")


def save_latest(report: reporting_report.LabReport, folder: Path) -> None:
    """Keep what is recommended, for the console to compare with; what was stopped early recommends nothing for long."""
    if report.is_complete:
        (folder / LATEST_FILE).write_text(json.dumps(report.data["recommended"], indent=1), encoding="utf-8")


def run_sweep(settings: Settings, options: SizeOptions) -> reporting_report.LabReport:
    """Sweep in a schema of the lab's own, and return the report.

    Raises:
        ScratchSchemaError, WorkloadRunError, NotServingError: when nothing can be measured.
    """
    with get_pooling().console.read() as connection:
        facts = read_server_info(connection)
    busy_before = resource_sampler.measure_machine_cpu(CPU_SAMPLE_DURATION)
    with _sigterm_as_interrupt(), scratch_schema(settings.database_url, options.lab_database) as url:
        bench = _create_bench(url, settings, options)
        try:
            plan = build_plan(options, facts).fit_to(options.minutes, bench.overhead)
            progress = report_output.ProgressDisplay(plan.total_seconds(bench.overhead))
            sweep = Sweep(
                bench,
                plan,
                lambda at: progress.update(f"{at.number} of {at.total}: {at.message}", remaining=at.remaining),
            )
            sweep.run()
            progress.finish()
        finally:
            bench.close()
    is_here = resource_sampler.is_local_host(make_url(settings.database_url).host or "localhost")
    chosen = sweep.chosen or plan.base
    found = recommend(sweep.results, chosen, sweep.rate, options.within, server_is_local=is_here)
    return sizing_report.build_report(
        found,
        _fit_to_server(found, settings, facts),
        sweep.results,
        _run_context(settings, options, sweep, busy_before),
    )


def build_plan(options: SizeOptions, server: ServerInfo) -> SweepPlan:
    """Return what is varied."""
    room = (server.max_connections or DEFAULT_MAX_CONNECTIONS) - server.foreign_connections - 2
    wanted = options.largest or (next_size_above(options.threads) if options.custom_workload else options.threads)
    base = Setting(1, options.threads, options.workers)
    pools = sizes_up_to(max(1, min(wanted, room // options.workers)))
    plan = SweepPlan(
        base,
        pools,
        repetitions=options.repetitions,
        tolerance=options.within,
        seed=options.seed,
        time_all_sizes=options.times_all,
    )
    if options.custom_workload or options.is_quick:
        return plan
    threads = tuple(sorted({max(1, options.threads // 2), options.threads, options.threads * 2}))
    workers = tuple(range(1, max(options.workers, os.cpu_count() or 1) + 2))
    return replace(plan, threads=threads, workers=workers, compare_group_commit=True)


def _create_bench(url: str, settings: Settings, options: SizeOptions) -> WorkloadBench | ServiceBench:
    if options.custom_workload is not None:
        return WorkloadBench(url, options.custom_workload, settings.pool)
    return ServiceBench(url, settings.pool, options.clients, options.processes)


def _fit_to_server(recommendation: Recommendation | None, settings: Settings, server: ServerInfo) -> FittedSize | None:
    if recommendation is None:
        return None
    setting = recommendation.setting
    fleet = FleetSize(setting.workers, setting.threads, settings.poolproof.background_processes)
    return fit_to_server(setting.pool, fleet, settings.pool, server)


def _run_context(
    settings: Settings, options: SizeOptions, sweep: Sweep, cpu_before: float | None
) -> sizing_report.RunContext:
    return sizing_report.RunContext(
        workload_title=options.custom_workload.title if options.custom_workload else "Poolproof's own mix",
        database=settings.redacted_database_url,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        command=_command_line(options),
        background_processes=settings.poolproof.background_processes,
        cpu_before=cpu_before,
        planned_runs=sum(sweep.plan.run_counts),
        is_complete=sweep.is_complete,
    )


def _command_line(options: SizeOptions) -> str:
    """Return what repeats it; the address of the lab's schema may have a password in it."""
    given = ["poolproof", *sys.argv[1:]]
    return shlex.join(one if one != options.lab_database else "URL" for one in given)


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Let an end from outside be one like Ctrl-C: the schema is dropped, and what was measured is kept."""

    def stop(number: int, frame: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
