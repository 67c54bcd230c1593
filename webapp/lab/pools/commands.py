"""`poolproof lab strategies`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click
from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from poolproof.lab.connection_monitor import ConnectionMonitor
from poolproof.lab.reporting.command_options import renamed_option, with_report_options
from poolproof.lab.reporting.report_output import ProgressDisplay, logging_disabled
from poolproof.lab.scratch_schema import ScratchSchemaError, create_scratch_schema
from webapp.lab.pools import pool_benchmark
from webapp.lab.pools import report as pools_report
from webapp.lab.pools.pool_behaviour import PoolBehaviour, observe_behaviour
from webapp.lab.pools.pool_benchmark import BenchmarkResult, BenchmarkTask
from webapp.lab.pools.pool_types import POOL_TYPES, PoolType
from webapp.lab.reporting.service_reports import output_report

BENCHMARK_DURATION, OBSERVATION_DURATION = 4.0, 9.0
"""Approximate seconds for each pool."""


@click.command("strategies")
@click.option(
    "--threads",
    default=32,
    show_default=True,
    type=click.IntRange(1, 500),
    help="How many threads use the pool at the same time.",
)
@click.option(
    "--requests",
    default=20,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="How many requests each thread makes, of three units of work each.",
)
@click.option(
    "--query-ms",
    default=2.0,
    show_default=True,
    type=click.FloatRange(0, 1000),
    help="Milliseconds that a query takes on the server.",
)
@click.option(
    "--rounds",
    default=3,
    show_default=True,
    type=click.IntRange(1, 99),
    help="How often each pool is measured; the median round is reported.",
)
@click.option(
    "--pool",
    "names",
    multiple=True,
    type=click.Choice([pool_type.name for pool_type in POOL_TYPES]),
    help="Measure this pool only; may be repeated. Default: all.",
)
@renamed_option("--way", "--pool")
@with_report_options
def command(
    *,
    threads: int,
    requests: int,
    query_ms: float,
    rounds: int,
    names: tuple[str, ...],
    folder: Path | None,
    as_json: bool,
) -> None:
    """Do the same work with each kind of pool, on the MySQL of DATABASE_URL, and observe how each behaves.

    It happens in a schema of its own (poolproof_lab_…) that is dropped afterwards.
    """
    task = BenchmarkTask(threads, requests, query_ms / pools_report.MILLISECONDS)
    pool_types = [pool_type for pool_type in POOL_TYPES if not names or pool_type.name in names]
    results, behaviours = _run_benchmarks(current_app.config["SETTINGS"].database_url, task, rounds, pool_types)
    if not results:
        raise click.ClickException("Stopped before anything was measured.")
    command_line = (
        f"poolproof lab strategies --threads {threads} --requests {requests} --query-ms {query_ms:g} --rounds {rounds}"
    )
    command_line += "".join(f" --pool '{name}'" for name in names)
    is_complete = len(results) == len(behaviours) == len(pool_types)
    report = pools_report.build_report(results, behaviours, task, command_line, is_complete=is_complete)
    output_report(report, folder, as_json=as_json)


def _run_benchmarks(
    database_url: str, task: BenchmarkTask, rounds: int, pool_types: Sequence[PoolType]
) -> tuple[list[BenchmarkResult], dict[str, PoolBehaviour]]:
    """Measure one pool after the other; on Ctrl-C return what was measured until then."""
    progress = ProgressDisplay((BENCHMARK_DURATION * rounds + OBSERVATION_DURATION) * len(pool_types))
    results: dict[str, list[BenchmarkResult]] = {}
    behaviours: dict[str, PoolBehaviour] = {}
    try:
        with (
            logging_disabled(),
            create_scratch_schema(database_url, "strategies") as schema_url,
            closing(ConnectionMonitor(schema_url)) as monitor,
        ):
            for number in range(1, rounds + 1):
                for pool_type in pool_types:
                    progress.update(f"{pool_type.name}: works, round {number} of {rounds}")
                    result = pool_benchmark.run_benchmark(pool_type, schema_url, task, monitor)
                    results.setdefault(pool_type.name, []).append(result)
            for pool_type in pool_types:
                progress.update(f"{pool_type.name}: is observed")
                behaviours[pool_type.name] = observe_behaviour(pool_type, schema_url, monitor)
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)
    except (ScratchSchemaError, SQLAlchemyError) as error:
        raise click.ClickException(f"The pools could not be compared: {error}") from error
    finally:
        progress.finish()
    return [_median_round(measured) for measured in results.values()], behaviours


def _median_round(rounds: Sequence[BenchmarkResult]) -> BenchmarkResult:
    """Return the round of the median speed."""
    return sorted(rounds, key=lambda result: result.units / result.seconds)[len(rounds) // 2]
