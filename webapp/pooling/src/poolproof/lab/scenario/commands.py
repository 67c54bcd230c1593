"""`python -m poolproof lab load`: visits to an application over HTTP, as a file describes them."""

from __future__ import annotations

import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
from sqlalchemy import make_url

from poolproof.lab.command_line import command_line
from poolproof.lab.hosts import is_local_host
from poolproof.lab.loadgen.load_profile import LoadProfile
from poolproof.lab.reporting.command_options import DEFAULT_FOLDER, with_report_options
from poolproof.lab.reporting.report import LabReport
from poolproof.lab.reporting.report_output import ProgressDisplay, output_report
from poolproof.lab.scenario.address import AddressError, parse_address
from poolproof.lab.scenario.app_process import AppStartError
from poolproof.lab.scenario.bench import ScenarioBench
from poolproof.lab.scenario.description import Scenario, ScenarioError, load_scenario
from poolproof.lab.scenario.load_processes import LoadProcesses, LoadRun
from poolproof.lab.scenario.report import LoadContext, build_report
from poolproof.lab.server_limits import NoSuchServerError, read_limits, redacted
from poolproof.lab.sizing import report as sizing_report
from poolproof.lab.sizing import resource_sampler
from poolproof.lab.sizing.analysis import recommend
from poolproof.lab.sizing.app_fit import fit_app_to_server
from poolproof.lab.sizing.measurements import Setting
from poolproof.lab.sizing.sweep import SweepPlan, next_size_above, sizes_up_to
from poolproof.lab.sizing.sweep_runner import run_with_progress, sigterm_as_interrupt

DEFAULT_CLIENTS = 32
"""Clients at once where the scenario has a rate instead of users."""
CPU_SAMPLE_DURATION = 1.0


@dataclass(frozen=True)
class StartOptions:
    """The options of a sweep over pool sizes, with an application that the lab starts itself."""

    command: str
    database_url: str | None
    workers: int
    threads: int
    processes: int
    minutes: float
    repetitions: int
    largest: int | None


@click.command("load")
@click.option(
    "--scenario",
    "file",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The TOML file with the requests.",
)
@click.option("--address", help="Where the application is served, as in http://127.0.0.1:8000.")
@click.option(
    "--start",
    help="Instead of --address: the command that starts the application with {pool} connections on port {port}, "
    "again for each pool size; the size is recommended.",
)
@click.option("--database-url", help="With --start: SQLAlchemy's URL of its database, to see what limits there.")
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="With --start: how many processes the command starts, each with a pool.",
)
@click.option(
    "--threads",
    default=8,
    show_default=True,
    type=click.IntRange(1, 256),
    help="With --start: how many request threads each of them has.",
)
@click.option(
    "--minutes",
    default=5.0,
    show_default=True,
    type=click.FloatRange(0.1, 600),
    help="With --start: how many minutes the sweep may take.",
)
@click.option(
    "--repetitions",
    default=3,
    show_default=True,
    type=click.IntRange(2, 50),
    help="With --start: how often each size is measured.",
)
@click.option("--largest", type=click.IntRange(1, 1000), help="With --start: the largest pool that is tried.")
@click.option(
    "--processes", default=1, show_default=True, type=click.IntRange(1, 64), help="How many processes make the visits."
)
@click.option("--insecure", is_flag=True, help="Accept any certificate of the server.")
@click.option("--yes", "confirmed", is_flag=True, help="Say that this server is yours and may be loaded.")
@with_report_options
def command(
    *,
    file: Path,
    address: str | None,
    start: str | None,
    database_url: str | None,
    processes: int,
    insecure: bool,
    confirmed: bool,
    folder: Path | None,
    as_json: bool,
    workers: int,
    threads: int,
    minutes: float,
    repetitions: int,
    largest: int | None,
) -> None:
    """Load an application over HTTP, and say what it needs.

    With --address the scenario runs once against an application that is running. With --start the application is
    started for each pool size, and a size is recommended, as by `lab size`. Exit 1 when a request failed.
    """
    if (address is None) == (start is None):
        raise click.UsageError("Give --address or --start, one of them.")
    try:
        scenario = load_scenario(file)
        if start is not None:
            options = StartOptions(
                start, database_url, workers, threads, processes, minutes, repetitions, largest
            )  # fmt: skip
            report = run_sweep(scenario, options)
        else:
            report = run_once(
                scenario, address or "", processes=processes, verify=not insecure, confirmed=confirmed
            )  # fmt: skip
    except (ScenarioError, AddressError, AppStartError, NoSuchServerError) as error:
        raise click.ClickException(str(error)) from error
    output_report(report, folder or DEFAULT_FOLDER, as_json=as_json)
    if report.settings and not as_json:
        click.echo(f"\n{report.settings}")
    if report.grade == "bad":
        sys.exit(1)


def run_once(scenario: Scenario, address: str, *, processes: int, verify: bool, confirmed: bool) -> LabReport:
    """Run a scenario against an application that is running, and return the report.

    Raises:
        AddressError: when the address is none.
        click.UsageError: when it is another machine's, and nobody has said that it may be loaded.
    """
    server = parse_address(address)
    if not confirmed and not server.is_local:
        raise click.UsageError(
            f"{server.host} is not this machine, and loading a server that is not yours is an attack. --yes says that "
            "it is yours."
        )
    profile = LoadProfile(0.0, scenario.seconds, scenario.rate)
    load = LoadRun(scenario, server, profile, scenario.users or 0, scenario.ramp, drain=scenario.timeout, verify=verify)
    progress = ProgressDisplay(scenario.seconds)
    with closing(LoadProcesses(processes)) as load_processes:
        result = load_processes.run(load, lambda left: progress.update("Visits", remaining=max(0.0, left)))
    progress.finish()
    return build_report(result, LoadContext(scenario, str(server), command_line(None)))


def run_sweep(scenario: Scenario, options: StartOptions) -> LabReport:
    """Measure the application with each pool size, and return the report.

    Raises:
        AppStartError, NoSuchServerError: when nothing can be measured.
    """
    server = read_limits(options.database_url) if options.database_url else None
    cpu_before = resource_sampler.measure_machine_cpu(CPU_SAMPLE_DURATION)
    clients = scenario.users or DEFAULT_CLIENTS
    sizes = sizes_up_to(options.largest or next_size_above(options.threads))
    plan = SweepPlan(Setting(1, options.threads, options.workers), sizes, repetitions=options.repetitions)
    with (
        sigterm_as_interrupt(),
        tempfile.TemporaryDirectory(prefix="poolproof_lab_") as folder,
        closing(
            ScenarioBench(
                options.command,
                scenario,
                Path(folder),
                clients=clients,
                processes=options.processes,
                url=options.database_url,
            )
        ) as bench,
    ):
        sweep = run_with_progress(bench, plan.fit_to(options.minutes, bench.overhead))
    host = make_url(options.database_url).host if options.database_url else None
    recommendation = recommend(
        sweep.results,
        sweep.chosen or plan.base,
        sweep.rate,
        server_is_local=not host or is_local_host(host),
    )
    fitted = fit_app_to_server(recommendation.setting.pool, options.workers, server) if recommendation else None
    context = sizing_report.RunContext(
        workload_title=scenario.title,
        database=redacted(options.database_url) if options.database_url else "not named",
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command_line(options.database_url),
        background_processes=0,
        cpu_before=cpu_before,
        planned_runs=sum(sweep.plan.run_counts),
        is_complete=sweep.is_complete,
        is_service=False,
    )
    return sizing_report.build_report(recommendation, fitted, sweep.results, context)
