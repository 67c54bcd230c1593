"""`python -m poolproof lab size`: the right pool size for the statements of an application, by measuring."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from sqlalchemy import make_url

from poolproof.capacity.server_info import ServerInfo
from poolproof.lab.command_line import command_line
from poolproof.lab.hosts import is_local_host
from poolproof.lab.reporting.command_options import DEFAULT_FOLDER, database_url_option, with_report_options
from poolproof.lab.reporting.report import LabReport
from poolproof.lab.reporting.report_output import output_report
from poolproof.lab.scratch_schema import ScratchSchemaError
from poolproof.lab.server_limits import NoSuchServerError, read_limits, redacted
from poolproof.lab.sizing import report as sizing_report
from poolproof.lab.sizing import resource_sampler
from poolproof.lab.sizing.analysis import recommend
from poolproof.lab.sizing.app_fit import fit_app_to_server
from poolproof.lab.sizing.measurements import Setting
from poolproof.lab.sizing.pool_workload import WorkloadRunError
from poolproof.lab.sizing.sweep import Sweep, SweepPlan, next_size_above, sizes_up_to
from poolproof.lab.sizing.sweep_runner import run_with_progress, sigterm_as_interrupt
from poolproof.lab.sizing.workload import Workload, WorkloadError, load_workload
from poolproof.lab.sizing.workload_bench import WorkloadBench
from poolproof.lab.workload_schema import open_workload_schema

DEFAULT_MAX_CONNECTIONS = 64
CPU_SAMPLE_DURATION = 1.0
"""Seconds before the sweep for which the use of the processors by others is measured."""


@dataclass(frozen=True)
class SizeOptions:
    """The options."""

    url: str
    workload: Workload
    minutes: float
    largest: int | None
    workers: int
    threads: int
    tolerance: float
    repetitions: int
    seed: int
    time_all: bool


@click.command("size")
@database_url_option
@click.option("--workload", "name", required=True, help="A TOML file with your statements, or cpu, row_lock, waiting.")
@click.option(
    "--minutes",
    default=5.0,
    show_default=True,
    type=click.FloatRange(0.1, 600),
    help="How many minutes the sweep may take.",
)
@click.option("--largest", type=click.IntRange(1, 1000), help="The largest pool that is tried.")
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="How many processes of the application share the server; one is measured.",
)
@click.option(
    "--threads", type=click.IntRange(1, 256), help="Number of threads of a process.  [default: the workload's]"
)
@click.option(
    "--tolerance",
    default=0.05,
    show_default=True,
    type=click.FloatRange(0, 0.5),
    help="Share of the best throughput by which a recommended size may be slower.",
)
@click.option(
    "--repetitions",
    default=3,
    show_default=True,
    type=click.IntRange(2, 50),
    help="How often each size is measured.",
)
@click.option("--seed", default=1, show_default=True, help="Seed of the random order of runs and of the arrivals.")
@click.option("--time-all", is_flag=True, help="Measure the latency of every size, also of slow ones.")
@click.option("--yes", "confirmed", is_flag=True, help="Say that this database may be loaded, and its tables changed.")
@with_report_options
def command(
    *,
    url: str,
    name: str,
    threads: int | None,
    confirmed: bool,
    folder: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Find the right pool size for your statements on your database, by measuring.

    A workload with `setup` runs in a schema of its own, which is dropped afterwards; one without meets your tables.
    """
    try:
        workload = load_workload(name)
        require_confirmation(url, workload, confirmed=confirmed)
        report = run_sweep(SizeOptions(url, workload, threads=threads or workload.threads, **options))
    except (WorkloadError, ScratchSchemaError, WorkloadRunError, NoSuchServerError) as error:
        raise click.ClickException(str(error)) from error
    output_report(report, folder or DEFAULT_FOLDER, as_json=as_json)
    if not as_json:
        click.echo(f"\n{report.settings}")


def require_confirmation(url: str, workload: Workload, *, confirmed: bool) -> None:
    """Refuse to load another machine, or to change tables that are not the lab's, without --yes.

    Raises:
        click.UsageError: with what would happen.
    """
    if confirmed:
        return
    host = make_url(url).host
    if host and not is_local_host(host):
        raise click.UsageError(f"This loads the database server on {host} for minutes. --yes says that it may.")
    if workload.changes_data:
        raise click.UsageError(
            "The workload has no `setup`, so operations that are not `reads` change the tables of "
            f"{redacted(url)}. --yes says that they may."
        )


def run_sweep(options: SizeOptions) -> LabReport:
    """Measure all sizes, and return the report.

    Raises:
        ScratchSchemaError, WorkloadRunError, NoSuchServerError: when nothing can be measured.
    """
    server = read_limits(options.url)
    cpu_before = resource_sampler.measure_machine_cpu(CPU_SAMPLE_DURATION)
    with (
        sigterm_as_interrupt(),
        open_workload_schema(options.url, makes_tables=bool(options.workload.setup)) as url,
        closing(WorkloadBench(url, options.workload, None)) as bench,
    ):
        sweep = run_with_progress(bench, build_plan(options, server).fit_to(options.minutes, bench.overhead))
    host = make_url(options.url).host
    recommendation = recommend(
        sweep.results,
        sweep.chosen or sweep.plan.base,
        sweep.rate,
        options.tolerance,
        server_is_local=not host or is_local_host(host),
    )
    fitted = fit_app_to_server(recommendation.setting.pool, options.workers, server) if recommendation else None
    return sizing_report.build_report(recommendation, fitted, sweep.results, _run_context(options, sweep, cpu_before))


def build_plan(options: SizeOptions, server: ServerInfo | None) -> SweepPlan:
    """Return which sizes are measured: up to one above the number of threads, as far as the server has room."""
    free = DEFAULT_MAX_CONNECTIONS
    if server is not None and server.max_connections is not None:
        free = server.max_connections - server.reserved_connections - server.foreign_connections - 2
    largest = options.largest or next_size_above(options.threads)
    return SweepPlan(
        Setting(1, options.threads, 1),
        sizes_up_to(max(1, min(largest, free))),
        repetitions=options.repetitions,
        tolerance=options.tolerance,
        seed=options.seed,
        time_all_sizes=options.time_all,
    )


def _run_context(options: SizeOptions, sweep: Sweep, cpu_before: float | None) -> sizing_report.RunContext:
    return sizing_report.RunContext(
        workload_title=options.workload.title,
        database=redacted(options.url),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command_line(options.url),
        background_processes=0,
        cpu_before=cpu_before,
        planned_runs=sum(sweep.plan.run_counts),
        is_complete=sweep.is_complete,
        is_service=False,
    )
