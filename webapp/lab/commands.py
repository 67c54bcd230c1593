"""`poolproof lab`: the push, the reports that are kept, and the ways to the parts that need more libraries."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import click
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from poolproof.integrations.flask_ext import get_pooling
from webapp.lab.loadgen import load_generator
from webapp.lab.loadgen.http_client import InvalidResponseError
from webapp.lab.loadgen.load_generator import TooManyUsersError
from webapp.lab.loadgen.player import PushPlan
from webapp.lab.push import push_report, verification
from webapp.lab.push.push_report import DatabaseStats
from webapp.lab.push.quiz_discovery import NoQuizError, find_open_quiz
from webapp.lab.reporting import compare as reporting_compare
from webapp.lab.reporting import report as reporting_report
from webapp.lab.reporting.report_output import get_report_folder, with_report_options

POLL_INTERVAL = 0.1


LAZY_COMMANDS = {
    "drill": "webapp.lab.drills.commands",
    "incident": "webapp.lab.incident.commands",
    "size": "webapp.lab.sizing.commands",
    "strategies": "webapp.lab.pools.commands",
}
"""Commands that need the lab's extra, and the modules that have them as `command`: imported when asked for."""
EXTRA_LIBRARIES = {"matplotlib", "numpy", "scipy"}


class _LazyGroup(click.Group):
    """The commands below, and those that can be had only where the extra is installed."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted({*self.commands, *LAZY_COMMANDS})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return _load_command(name, LAZY_COMMANDS[name]) if name in LAZY_COMMANDS else self.commands.get(name)


def _load_command(name: str, module: str) -> click.Command:
    try:
        return cast("click.Command", import_module(module).command)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in EXTRA_LIBRARIES:
            raise
        return _missing_extra_command(name, missing)


def _missing_extra_command(name: str, missing: str) -> click.Command:
    def refuse() -> None:
        raise click.ClickException(f"poolproof lab {name} needs {missing}: pip install poolproof-quiz[lab]")

    settings = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(name, settings, refuse, help="Not installed: pip install poolproof-quiz[lab].")


@click.group(cls=_LazyGroup)
def lab() -> None:
    """Rehearse what will come."""


@lab.command()
@with_report_options
def reports(folder: Path | None, as_json: bool) -> None:
    """List the reports that are kept, newest first."""
    kept = reporting_report.list_reports(get_report_folder(folder))
    if as_json:
        click.echo(json.dumps([asdict(one) for one in kept]))
        return
    for one in kept:
        click.echo(f"{one.name}\n    {one.title}. {one.verdict}")
    if not kept:
        click.echo(f"There is no report in {get_report_folder(folder)}.")


@lab.command()
@click.argument("left")
@click.argument("right")
@with_report_options
def compare(left: str, right: str, folder: Path | None, as_json: bool) -> None:
    """Put two reports side by side on one page; names as `reports` lists them, or paths."""
    where = get_report_folder(folder)
    try:
        sides = reporting_compare.ReportPair(
            reporting_report.load_report(where, left), reporting_report.load_report(where, right)
        )
    except reporting_report.NoSuchReportError as error:
        raise click.ClickException(str(error)) from error
    page = reporting_compare.save_comparison(sides, where)
    tables = [asdict(one) for one in reporting_compare.joined_tables(sides)]
    click.echo(json.dumps({"page": str(page), "tables": tables}) if as_json else f"The comparison: {page}")


@lab.command()
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="The service.")
@click.option("--users", default=2000, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--within", default=1.0, show_default=True, type=click.FloatRange(0, 3600), help="Seconds of arrivals.")
@click.option("--quiz", help="The quiz's slug. Default: the first open one.")
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1, 64), help="For the load.")
@click.option("--think", default=0.0, show_default=True, help="Seconds before each answer.")
@click.option(
    "--retry/--no-retry", default=True, help="Try again after 503, 429 or no reply, as the page's script does."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--yes-i-own-this-server", "owned", is_flag=True, help="Needed for any address but this machine's own.")
def push(
    url: str,
    users: int,
    within: float,
    quiz: str | None,
    processes: int,
    think: float,
    retry: bool,
    as_json: bool,
    owned: bool,
) -> None:
    """Let many people open one quiz, answer it, finish, and look at the board; then prove that nothing was lost."""
    host, port = _parse_url(url)
    if not owned and not _is_local_host(host):
        raise click.UsageError(
            f"{host} is not this machine. Loading somebody else's server is an attack; "
            "add --yes-i-own-this-server if it is yours."
        )
    try:
        slug, quiz_id, items = asyncio.run(find_open_quiz(host, port, quiz))
        load_generator.allow_open_files(users // processes)
        with load_generator.start_load_processes(processes) as pushers, _monitor_database() as watched:
            plan = PushPlan(
                host, port, slug, quiz_id, items, time.monotonic() + load_generator.START_DELAY, within, think, retry
            )
            with _progress_bar(users, quiet=as_json) as progress:
                shares = pushers.run(plan, users, progress)
        proved = verification.verify_acknowledged(host, port, [visit for share in shares for visit in share.visits])
    except load_generator.PushStoppedError as stopped:
        click.echo(push_report.as_text(push_report.summarize(stopped.results, None, None)))
        raise click.ClickException("Stopped: this is what had been done until then.") from stopped
    except NoQuizError as error:
        raise click.ClickException(str(error)) from error
    except (OSError, InvalidResponseError, TooManyUsersError) as error:
        raise click.ClickException(f"The push could not be made: {error}") from error
    found = push_report.summarize(shares, proved, watched.database_stats())
    click.echo(json.dumps(found.as_json(), indent=2) if as_json else push_report.as_text(found))
    if found.done < users or not proved.is_intact:
        sys.exit(1)


def _parse_url(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise click.UsageError("--url takes http://host:port; the load speaks no TLS, so that it measures the service.")
    return parts.hostname, parts.port or 80


def _is_local_host(host: str) -> bool:
    try:
        return all(ipaddress.ip_address(found[4][0]).is_loopback for found in socket.getaddrinfo(host, None))
    except OSError:
        return False


@contextmanager
def _progress_bar(users: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show how many people are through, while they come through; on a terminal only."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=users, label="people are through", file=sys.stderr, show_pos=True) as bar:
        yield lambda through: bar.update(through - bar.pos)


class _DatabaseMonitor:
    """What the database server says before, during and after."""

    def __init__(self) -> None:
        self.peak_connections = 0
        self.statement_counts: list[int] = []
        self.own_statements = 0

    def record_connections(self, connection: Connection) -> None:
        count = "SELECT COUNT(*) FROM information_schema.processlist WHERE db <=> DATABASE()"
        self.peak_connections = max(self.peak_connections, int(connection.execute(text(count)).scalar_one()) - 1)
        self.own_statements += 1

    def record_statements(self, connection: Connection) -> None:
        self.statement_counts.append(int(connection.execute(text("SHOW GLOBAL STATUS LIKE 'Questions'")).one()[1]))

    def database_stats(self) -> DatabaseStats | None:
        # Before and after; a server that was restarted meanwhile has counted from zero.
        if len(self.statement_counts) != 2 or self.statement_counts[1] < self.statement_counts[0]:  # noqa: PLR2004
            return None
        return DatabaseStats(
            self.peak_connections, self.statement_counts[1] - self.statement_counts[0] - self.own_statements - 1
        )


@contextmanager
def _monitor_database() -> Iterator[_DatabaseMonitor]:
    """Look at the server of this installation, on the console lane, while the block runs."""
    watched, done = _DatabaseMonitor(), threading.Event()
    work = get_pooling().console
    if work.engine.dialect.name == "sqlite":
        yield watched
        return

    def ask(question: Callable[[Connection], None]) -> None:
        # A server that is away is what the push may be about; then it is asked again later.
        with suppress(SQLAlchemyError), work.read() as connection:
            question(connection)

    def look() -> None:
        ask(watched.record_statements)
        while not done.wait(POLL_INTERVAL):
            ask(watched.record_connections)
        ask(watched.record_statements)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield watched
    finally:
        done.set()
        thread.join()
