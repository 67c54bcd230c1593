"""`poolproof lab size`: the right number of workers, threads and connections, by measuring."""

from __future__ import annotations

import json
import os
import shlex
import sys
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from flask import current_app
from sqlalchemy import make_url

from poolproof.capacity.budget import FleetSize
from poolproof.capacity.server_info import ServerInfo, read_server_info
from poolproof.integrations.flask_ext import get_pooling
from poolproof.lab.hosts import is_local_host
from poolproof.lab.reporting.command_options import renamed_option, with_report_options
from poolproof.lab.reporting.report import LabReport
from poolproof.lab.scratch_schema import ScratchSchemaError, open_scratch_schema
from poolproof.lab.sizing import report as sizing_report
from poolproof.lab.sizing import resource_sampler, workload
from poolproof.lab.sizing.analysis import Recommendation, recommend
from poolproof.lab.sizing.measurements import Setting
from poolproof.lab.sizing.pool_workload import WorkloadRunError
from poolproof.lab.sizing.recommendation import FittedSize, fit_to_server
from poolproof.lab.sizing.sweep import Sweep, SweepPlan, next_size_above, sizes_up_to
from poolproof.lab.sizing.sweep_runner import run_with_progress, sigterm_as_interrupt
from poolproof.lab.sizing.workload import WorkloadError
from poolproof.lab.sizing.workload_bench import WorkloadBench
from webapp.lab.reporting.service_reports import output_report
from webapp.lab.services.service_process import NotServingError
from webapp.lab.sizing.service_bench import ServiceBench
from webapp.settings import Settings

LATEST_FILE = "size-latest.json"
DEFAULT_MINUTES, QUICK_MINUTES = 10.0, 1.0
DEFAULT_MAX_CONNECTIONS = 64
CPU_SAMPLE_DURATION = 1.0
"""Seconds before the sweep for which the use of the processors by others is measured."""


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
    tolerance: float
    repetitions: int
    seed: int
    time_all: bool
    lab_database: str | None


@click.command("size")
@click.option("--workload", "name", help="A TOML file, or cpu, row_lock or waiting. Default: Poolproof's own mix.")
@click.option("--minutes", type=click.FloatRange(0.1, 600), help="How many minutes the sweep may take.  [default: 10]")
@click.option("--quick", is_flag=True, help="Measure pool sizes only, for a minute or two.")
@click.option("--largest", type=click.IntRange(3, 1000), help="The largest pool that is tried.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Number of workers with which pool sizes are measured first.  [default: POOLPROOF_WORKERS]",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 256),
    help="Number of threads of each worker with which pool sizes are measured first.  [default: POOLPROOF_THREADS]",
)
@click.option(
    "--clients",
    default=64,
    show_default=True,
    type=click.IntRange(1, 4000),
    help="How many clients visit the service at once while throughput is measured.",
)
@click.option(
    "--processes",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="How many processes run these clients.",
)
@click.option(
    "--tolerance",
    default=0.05,
    show_default=True,
    type=click.FloatRange(0, 0.5),
    help="Share of the best throughput by which a recommended setting may be slower.",
)
@click.option(
    "--repetitions",
    default=3,
    show_default=True,
    type=click.IntRange(2, 50),
    help="How often each setting is measured.",
)
@click.option("--seed", default=1, show_default=True, help="Seed of the random order of runs and of the arrivals.")
@click.option(
    "--time-all", is_flag=True, help="Measure the latency of every size, also of those with a low throughput."
)
@click.option("--lab-database", help="URL of an empty schema to use, for an account that may not create one.")
@renamed_option("--within", "--tolerance")
@with_report_options
def command(
    *, name: str | None, minutes: float | None, quick: bool, as_json: bool, folder: Path | None, **options: Any
) -> None:
    """Find the right number of workers, threads and connections, by measuring."""
    settings: Settings = current_app.config["SETTINGS"]
    try:
        report = run_sweep(settings, _size_options(settings, name, minutes, is_quick=quick, **options))
    except (WorkloadError, ScratchSchemaError, WorkloadRunError, NotServingError) as error:
        raise click.ClickException(str(error)) from error
    page = output_report(report, folder, as_json=as_json)
    save_latest(report, page.parent)
    if not as_json:
        click.echo(f"\n{report.settings}")


def _size_options(
    settings: Settings,
    name: str | None,
    minutes: float | None,
    *,
    is_quick: bool,
    workers: int | None,
    threads: int | None,
    **options: Any,
) -> SizeOptions:
    """Return the options with the defaults of this installation, or of the workload."""
    custom_workload = workload.load_workload(name) if name else None
    default_threads = custom_workload.threads if custom_workload else settings.poolproof.threads
    return SizeOptions(
        custom_workload=custom_workload,
        minutes=minutes or (QUICK_MINUTES if is_quick else DEFAULT_MINUTES),
        is_quick=is_quick,
        # A workload runs in a single process.
        workers=1 if custom_workload else workers or settings.poolproof.workers,
        threads=threads or default_threads,
        **options,
    )


def save_latest(report: LabReport, folder: Path) -> None:
    """Store the recommendation, with which the console compares the running settings; nothing of an incomplete run."""
    if report.is_complete:
        (folder / LATEST_FILE).write_text(json.dumps(report.data["recommended"], indent=1), encoding="utf-8")


def run_sweep(settings: Settings, options: SizeOptions) -> LabReport:
    """Sweep in a schema of the lab's own, and return the report.

    Raises:
        ScratchSchemaError, WorkloadRunError, NotServingError: when nothing can be measured.
    """
    with get_pooling().console.read() as connection:
        server = read_server_info(connection)
    cpu_before = resource_sampler.measure_machine_cpu(CPU_SAMPLE_DURATION)
    with (
        sigterm_as_interrupt(),
        open_scratch_schema(settings.database_url, "size", options.lab_database) as url,
        closing(_create_bench(url, settings, options)) as bench,
    ):
        plan = build_plan(options, server).fit_to(options.minutes, bench.overhead)
        sweep = run_with_progress(bench, plan)
    server_is_local = is_local_host(make_url(settings.database_url).host or "localhost")
    chosen = sweep.chosen or plan.base
    recommendation = recommend(
        sweep.results, chosen, sweep.rate, options.tolerance, server_is_local=server_is_local
    )  # fmt: skip
    return sizing_report.build_report(
        recommendation,
        # The service has a group commit, another workload has none.
        _fit_to_server(recommendation, settings, server, has_writer=options.custom_workload is None),
        sweep.results,
        _run_context(settings, options, sweep, cpu_before),
    )


def build_plan(options: SizeOptions, server: ServerInfo) -> SweepPlan:
    """Return which settings are measured."""
    free_connections = (server.max_connections or DEFAULT_MAX_CONNECTIONS) - server.foreign_connections - 2
    largest = options.largest or (next_size_above(options.threads) if options.custom_workload else options.threads)
    base = Setting(1, options.threads, options.workers)
    pools = sizes_up_to(max(1, min(largest, free_connections // options.workers)))
    plan = SweepPlan(
        base,
        pools,
        repetitions=options.repetitions,
        tolerance=options.tolerance,
        seed=options.seed,
        time_all_sizes=options.time_all,
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


def _fit_to_server(
    recommendation: Recommendation | None, settings: Settings, server: ServerInfo, *, has_writer: bool
) -> FittedSize | None:
    if recommendation is None:
        return None
    setting = recommendation.setting
    fleet = FleetSize(setting.workers, setting.threads, settings.poolproof.background_processes, has_writer=has_writer)
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
    """Return the command line without the URL of the lab's schema, which may contain a password."""
    arguments = ["poolproof", *sys.argv[1:]]
    return shlex.join("URL" if argument == options.lab_database else argument for argument in arguments)
