"""`poolproof lab push`: the push, rehearsed."""

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
from urllib.parse import urlsplit

import click
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from webapp.lab import load, proof, report
from webapp.lab.browser import BrokenAnswerError, Browser
from webapp.lab.drills.commands import drill
from webapp.lab.load import TooManyUsersError
from webapp.lab.push import WELL, Plan
from webapp.lab.report import Server
from webapp.pooling.extension import pooling_of_this_app

UNTIL_ALL_PROCESSES_RUN = 4.0
LOOKS_EVERY = 0.1


@click.group()
def lab() -> None:
    """Rehearse what will come."""


lab.add_command(drill)


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
        slug, quiz_id, items = asyncio.run(_look_at(host, port, quiz))
        load.allow_open_files(users // processes)
        starts_at = time.monotonic() + UNTIL_ALL_PROCESSES_RUN
        plan = Plan(host, port, slug, quiz_id, items, starts_at, within, think, retry)
        with _watching_the_database() as watched, _progress(users, quiet=as_json) as progress:
            shares = load.push(plan, users, processes, progress)
        proved = proof.read_back(host, port, [visit for share in shares for visit in share.visits])
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


async def _look_at(host: str, port: int, slug: str | None) -> tuple[str, int, list[tuple[int, int]]]:
    browser = Browser(host, port)
    listed = (await browser.ask("GET", "/api/v1/quizzes?limit=100")).json()["quizzes"]
    chosen = next((one for one in listed if slug in {None, one["slug"]}), None)
    if chosen is None:
        raise click.ClickException(f"There is no open quiz{f' {slug}' if slug else ''} at http://{host}:{port}.")
    answer = await browser.ask("GET", f"/api/v1/quizzes/{chosen['id']}")
    browser.close()
    if answer.status not in WELL:
        raise click.ClickException(f"The quiz {chosen['slug']} cannot be read: status {answer.status}.")
    found = answer.json()
    items = [(one["item"], len(one["choices"])) for one in found["questions"]]
    return chosen["slug"], found["id"], items


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
