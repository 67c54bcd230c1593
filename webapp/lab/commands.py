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

from webapp.lab import comparing, load, proof, report, reporting
from webapp.lab.browser import BrokenAnswerError
from webapp.lab.keeping import folder_of_reports, with_report_options
from webapp.lab.load import TooManyUsersError
from webapp.lab.push import Plan
from webapp.lab.quiz import NoQuizError, open_quiz
from webapp.lab.report import Server
from webapp.pooling.extension import pooling_of_this_app

LOOKS_EVERY = 0.1


PARTS = {
    "drill": "webapp.lab.drills.commands",
    "incident": "webapp.lab.incidents",
    "size": "webapp.lab.size",
    "strategies": "webapp.lab.strategies",
}
"""Commands that need the lab's extra, and the modules that have them as `command`: imported when asked for."""
EXTRA = {"matplotlib", "numpy", "scipy"}


class _Parts(click.Group):
    """The commands below, and those that can be had only where the extra is installed."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted({*self.commands, *PARTS})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return _part(name, PARTS[name]) if name in PARTS else self.commands.get(name)


def _part(name: str, module: str) -> click.Command:
    try:
        return cast("click.Command", import_module(module).command)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in EXTRA:
            raise
        return _without_the_extra(name, missing)


def _without_the_extra(name: str, missing: str) -> click.Command:
    def refuse() -> None:
        raise click.ClickException(f"poolproof lab {name} needs {missing}: pip install poolproof[lab]")

    settings = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(name, settings, refuse, help="Not installed: pip install poolproof[lab].")


@click.group(cls=_Parts)
def lab() -> None:
    """Rehearse what will come."""


@lab.command()
@with_report_options
def reports(folder: Path | None, as_json: bool) -> None:
    """List the reports that are kept, newest first."""
    kept = reporting.read_all(folder_of_reports(folder))
    if as_json:
        click.echo(json.dumps([asdict(one) for one in kept]))
        return
    for one in kept:
        click.echo(f"{one.name}\n    {one.title}. {one.verdict}")
    if not kept:
        click.echo(f"There is no report in {folder_of_reports(folder)}.")


@lab.command()
@click.argument("left")
@click.argument("right")
@with_report_options
def compare(left: str, right: str, folder: Path | None, as_json: bool) -> None:
    """Put two reports side by side on one page; names as `reports` lists them, or paths."""
    where = folder_of_reports(folder)
    try:
        sides = comparing.Sides(reporting.read(where, left), reporting.read(where, right))
    except reporting.NoSuchReportError as error:
        raise click.ClickException(str(error)) from error
    page = comparing.write(sides, where)
    tables = [asdict(one) for one in comparing.tables(sides)]
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
    host, port = _address(url)
    if not owned and not _is_this_machine(host):
        raise click.UsageError(
            f"{host} is not this machine. Loading somebody else's server is an attack; "
            "add --yes-i-own-this-server if it is yours."
        )
    try:
        slug, quiz_id, items = asyncio.run(open_quiz(host, port, quiz))
        load.allow_open_files(users // processes)
        with load.pushers(processes) as pushers, _watching_the_database() as watched:
            plan = Plan(host, port, slug, quiz_id, items, time.monotonic() + load.SOON, within, think, retry)
            with _progress(users, quiet=as_json) as progress:
                shares = pushers.push(plan, users, progress)
        proved = proof.read_back(host, port, [visit for share in shares for visit in share.visits])
    except load.StoppedError as stopped:
        click.echo(report.as_text(report.sum_up(stopped.shares, None, None)))
        raise click.ClickException("Stopped: this is what had been done until then.") from stopped
    except NoQuizError as error:
        raise click.ClickException(str(error)) from error
    except (OSError, BrokenAnswerError, TooManyUsersError) as error:
        raise click.ClickException(f"The push could not be made: {error}") from error
    found = report.sum_up(shares, proved, watched.seen())
    click.echo(json.dumps(found.as_json(), indent=2) if as_json else report.as_text(found))
    if found.done < users or not proved.holds:
        sys.exit(1)


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise click.UsageError("--url takes http://host:port; the load speaks no TLS, so that it measures the service.")
    return parts.hostname, parts.port or 80


def _is_this_machine(host: str) -> bool:
    try:
        return all(ipaddress.ip_address(found[4][0]).is_loopback for found in socket.getaddrinfo(host, None))
    except OSError:
        return False


@contextmanager
def _progress(users: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show how many people are through, while they come through; on a terminal only."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=users, label="people are through", file=sys.stderr, show_pos=True) as bar:
        yield lambda through: bar.update(through - bar.pos)


class _Watched:
    """What the database server says before, during and after."""

    def __init__(self) -> None:
        self.peak = 0
        self.asked: list[int] = []
        self.own = 0

    def look(self, connection: Connection) -> None:
        count = "SELECT COUNT(*) FROM information_schema.processlist WHERE db <=> DATABASE()"
        self.peak = max(self.peak, int(connection.execute(text(count)).scalar_one()) - 1)
        self.own += 1

    def count(self, connection: Connection) -> None:
        self.asked.append(int(connection.execute(text("SHOW GLOBAL STATUS LIKE 'Questions'")).one()[1]))

    def seen(self) -> Server | None:
        # Before and after; a server that was restarted meanwhile has counted from zero.
        if len(self.asked) != 2 or self.asked[1] < self.asked[0]:  # noqa: PLR2004
            return None
        return Server(self.peak, self.asked[1] - self.asked[0] - self.own - 1)


@contextmanager
def _watching_the_database() -> Iterator[_Watched]:
    """Look at the server of this installation, on the console lane, while the block runs."""
    watched, done = _Watched(), threading.Event()
    work = pooling_of_this_app().console
    if work.engine.dialect.name == "sqlite":
        yield watched
        return

    def ask(question: Callable[[Connection], None]) -> None:
        # A server that is away is what the push may be about; then it is asked again later.
        with suppress(SQLAlchemyError), work.read() as connection:
            question(connection)

    def look() -> None:
        ask(watched.count)
        while not done.wait(LOOKS_EVERY):
            ask(watched.look)
        ask(watched.count)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield watched
    finally:
        done.set()
        thread.join()
