"""`poolproof lab strategies`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import click
from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from webapp.lab.pools import pool_benchmark
from webapp.lab.pools import report as pools_report
from webapp.lab.pools.pool_behaviour import PoolBehaviour, observe_behaviour
from webapp.lab.pools.pool_benchmark import BenchmarkResult, BenchmarkTask
from webapp.lab.pools.pool_types import POOL_TYPES, PoolType
from webapp.lab.reporting.report_output import ProgressDisplay, output_report, with_report_options
from webapp.lab.services.connection_monitor import ConnectionMonitor
from webapp.lab.services.scratch_schema import ScratchSchemaError, create_scratch_schema

BENCHMARK_DURATION, OBSERVATION_DURATION = 4.0, 9.0
"""Seconds for each way, about."""


@click.command("strategies")
@click.option("--threads", default=32, show_default=True, type=click.IntRange(1, 500), help="That work at once.")
@click.option(
    "--requests",
    default=20,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="Of each thread; three units each.",
)
@click.option(
    "--query-ms",
    default=2.0,
    show_default=True,
    type=click.FloatRange(0, 1000),
    help="What a query takes on the server.",
)
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1, 99), help="By turns; the median counts.")
@click.option(
    "--way",
    "names",
    multiple=True,
    type=click.Choice([one.name for one in POOL_TYPES]),
    help="One way only; may be repeated.",
)
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
    """Do the same work with each kind of pool, on the MySQL of DATABASE_URL, and watch their habits.

    It happens in a schema of its own (poolproof_lab_…) that is dropped afterwards.
    """
    task = BenchmarkTask(threads, requests, query_ms / pools_report.MILLISECONDS)
    ways = [one for one in POOL_TYPES if not names or one.name in names]
    done, habits = _run_benchmarks(current_app.config["SETTINGS"].database_url, task, rounds, ways)
    if not done:
        raise click.ClickException("Stopped before anything was measured.")
    repeats = (
        f"poolproof lab strategies --threads {threads} --requests {requests} --query-ms {query_ms:g} --rounds {rounds}"
    )
    repeats += "".join(f" --way '{one.name}'" for one in ways if names)
    is_complete = len(done) == len(habits) == len(ways)
    report = pools_report.build_report(done, habits, task, repeats, is_complete=is_complete)
    output_report(report, folder, as_json=as_json)


@contextmanager
def _logging_disabled() -> Iterator[None]:
    """Keep the pools from telling the log about every connection that is broken on purpose."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _run_benchmarks(
    database_url: str, task: BenchmarkTask, rounds: int, pool_types: Sequence[PoolType]
) -> tuple[list[BenchmarkResult], dict[str, PoolBehaviour]]:
    """Measure one way after the other; on Ctrl-C what there is."""
    progress = ProgressDisplay((BENCHMARK_DURATION * rounds + OBSERVATION_DURATION) * len(pool_types))
    worked: dict[str, list[BenchmarkResult]] = {}
    habits: dict[str, PoolBehaviour] = {}
    try:
        with (
            _logging_disabled(), create_scratch_schema(database_url, "strategies") as own, closing(ConnectionMonitor(own)) as observer,
        ):  # fmt: skip
            for turn in range(rounds):
                for way in pool_types:
                    progress.update(f"{way.name}: works, round {turn + 1} of {rounds}")
                    worked.setdefault(way.name, []).append(pool_benchmark.run_benchmark(way, own, task, observer))
            for way in pool_types:
                progress.update(f"{way.name}: is watched")
                habits[way.name] = observe_behaviour(way, own, observer)
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)
    except (ScratchSchemaError, SQLAlchemyError) as error:
        raise click.ClickException(f"The ways could not be compared: {error}") from error
    finally:
        progress.finish()
    return [_median_round(rounds_of_one) for rounds_of_one in worked.values()], habits


def _median_round(rounds: Sequence[BenchmarkResult]) -> BenchmarkResult:
    """Return the round of the median speed."""
    return sorted(rounds, key=lambda one: one.units / one.seconds)[len(rounds) // 2]
