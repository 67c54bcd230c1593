"""`poolproof lab strategies`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import click
from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from webapp.lab import labour, strategies_report
from webapp.lab.borrowing import WAYS, Way
from webapp.lab.habits import Habits, habits_of
from webapp.lab.keeping import Progress, hand_over, with_report_options
from webapp.lab.labour import Done, Task
from webapp.lab.observing import Observer
from webapp.lab.schemas import NotALabError, schema_of_its_own

WORKS_FOR, WATCHED_FOR = 4.0, 9.0
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
    type=click.Choice([one.name for one in WAYS]),
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
    task = Task(threads, requests, query_ms / strategies_report.MILLISECONDS)
    ways = [one for one in WAYS if not names or one.name in names]
    done, habits = _measure(current_app.config["SETTINGS"].database_url, task, rounds, ways)
    if not done:
        raise click.ClickException("Stopped before anything was measured.")
    repeats = (
        f"poolproof lab strategies --threads {threads} --requests {requests} --query-ms {query_ms:g} --rounds {rounds}"
    )
    repeats += "".join(f" --way '{one.name}'" for one in ways if names)
    is_complete = len(done) == len(habits) == len(ways)
    report = strategies_report.report_of(done, habits, task, repeats, is_complete=is_complete)
    hand_over(report, folder, as_json=as_json)


@contextmanager
def _in_silence() -> Iterator[None]:
    """Keep the pools from telling the log about every connection that is broken on purpose."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _measure(database_url: str, task: Task, rounds: int, ways: Sequence[Way]) -> tuple[list[Done], dict[str, Habits]]:
    """Measure one way after the other; on Ctrl-C what there is."""
    progress = Progress((WORKS_FOR * rounds + WATCHED_FOR) * len(ways))
    worked: dict[str, list[Done]] = {}
    habits: dict[str, Habits] = {}
    try:
        with (
            _in_silence(), schema_of_its_own(database_url, "strategies") as own, closing(Observer(own)) as observer,
        ):  # fmt: skip
            for turn in range(rounds):
                for way in ways:
                    progress.say(f"{way.name}: works, round {turn + 1} of {rounds}")
                    worked.setdefault(way.name, []).append(labour.work(way, own, task, observer))
            for way in ways:
                progress.say(f"{way.name}: is watched")
                habits[way.name] = habits_of(way, own, observer)
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)
    except (NotALabError, SQLAlchemyError) as error:
        raise click.ClickException(f"The ways could not be compared: {error}") from error
    finally:
        progress.end()
    return [_middle(rounds_of_one) for rounds_of_one in worked.values()], habits


def _middle(rounds: Sequence[Done]) -> Done:
    """Return the round of the median speed."""
    return sorted(rounds, key=lambda one: one.units / one.seconds)[len(rounds) // 2]
