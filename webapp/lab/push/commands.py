"""`poolproof lab push`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from urllib.parse import urlsplit

import click
from flask import current_app

from poolproof.integrations.flask_ext import get_pooling
from poolproof.lab.connection_monitor import ConnectionMonitor
from poolproof.lab.hosts import is_local_host
from poolproof.lab.loadgen.http_client import InvalidResponseError
from poolproof.lab.reporting.command_options import renamed_option
from webapp.lab.loadgen import load_generator
from webapp.lab.loadgen.browser_model import BrowserModel
from webapp.lab.loadgen.load_generator import ProcessResult, TooManyUsersError
from webapp.lab.loadgen.player import PushPlan, connections_per_user
from webapp.lab.push import push_report, verification
from webapp.lab.push.database_monitor import DatabaseMonitor
from webapp.lab.push.latest_push import save_latest
from webapp.lab.push.push_report import PushSummary
from webapp.lab.push.quiz_discovery import NoQuizError, find_open_quiz
from webapp.lab.reporting.service_reports import get_report_folder


@dataclass(frozen=True)
class PushOptions:
    """The options."""

    url: str
    users: int
    ramp: float
    quiz: str | None
    processes: int
    think: float
    retry: bool
    browsers: bool


@click.command("push")
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="Address of the service.")
@click.option(
    "--users", default=2000, show_default=True, type=click.IntRange(1, 100_000), help="How many people play the quiz."
)
@click.option(
    "--ramp",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, 3600),
    help="Seconds over which their arrivals are spread evenly.",
)
@click.option("--quiz", help="The quiz's slug. Default: the first open one.")
@click.option(
    "--processes",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="How many processes generate the load.",
)
@click.option("--think", default=0.0, show_default=True, help="Seconds that each person thinks before each answer.")
@click.option(
    "--retry/--no-retry", default=True, help="Try again after 503, 429 or no reply, as the page's script does."
)
@click.option(
    "--browsers",
    is_flag=True,
    help="Behave as browsers do: idle connections, the page's files, slow lines, people who vanish.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option(
    "--yes", "confirmed", is_flag=True, help="Confirm that the server is yours; needed for any other machine than this."
)
@renamed_option("--within", "--ramp")
@renamed_option("--yes-i-own-this-server", "--yes", is_flag=True)
def command(
    url: str,
    users: int,
    ramp: float,
    quiz: str | None,
    processes: int,
    think: float,
    retry: bool,
    browsers: bool,
    as_json: bool,
    confirmed: bool,
) -> None:
    """Let many people play one quiz at the same time, and check that nothing acknowledged was lost.

    Each opens the quiz, starts an attempt, answers, finishes and reads the leaderboard. The exit status is 1 when
    one of them was not served to the end, or when an acknowledged answer or finish is not stored; whoever vanishes,
    because --browsers makes some do that, need not be served to the end.
    """
    options = PushOptions(url, users, ramp, quiz, processes, think, retry, browsers)
    host, _ = _parse_url(url)
    if not confirmed and not is_local_host(host):
        raise click.UsageError(
            f"{host} is not this machine. Loading a server that is not yours is an attack; add --yes if it is yours."
        )
    try:
        summary = _run_push(options, show_progress=not as_json and sys.stderr.isatty())
    except load_generator.PushStoppedError as stopped:
        click.echo(push_report.as_text(push_report.summarize(stopped.results, None, None)))
        raise click.ClickException("Stopped: this is what had been done until then.") from stopped
    except NoQuizError as error:
        raise click.ClickException(str(error)) from error
    except (OSError, InvalidResponseError, TooManyUsersError) as error:
        raise click.ClickException(f"The push could not be made: {error}") from error
    if is_local_host(host):
        save_latest(summary, ramp, get_report_folder(None))
    click.echo(json.dumps(summary.as_json(), indent=2) if as_json else push_report.as_text(summary))
    if summary.done + summary.vanished < users or summary.verification is None or not summary.verification.is_intact:
        sys.exit(1)


def _run_push(options: PushOptions, *, show_progress: bool) -> PushSummary:
    host, port = _parse_url(options.url)
    slug, quiz_id, items = find_open_quiz(host, port, options.quiz)
    model = BrowserModel() if options.browsers else None
    load_generator.allow_open_files(options.users // options.processes * connections_per_user(model))
    with load_generator.start_load_processes(options.processes) as processes, _database_monitor() as monitor:
        with nullcontext() if monitor is None else monitor.run():
            starts_at = time.monotonic() + load_generator.START_DELAY
            plan = PushPlan(
                host, port, slug, quiz_id, items, starts_at, options.ramp, options.think, options.retry, browsers=model
            )  # fmt: skip
            results = _run_with_progress(processes, plan, options.users, show_progress=show_progress)
        stats = None if monitor is None else monitor.stats()
    visits = [visit for result in results for visit in result.visits]
    return push_report.summarize(results, verification.verify_acknowledged(host, port, visits), stats)


def _run_with_progress(
    processes: load_generator.LoadProcesses, plan: PushPlan, users: int, *, show_progress: bool
) -> list[ProcessResult]:
    with _progress_bar(users) if show_progress else nullcontext(lambda _: None) as on_progress:
        return processes.run(plan, users, on_progress)


def _parse_url(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise click.UsageError("--url takes http://host:port; the load speaks no TLS, so that it measures the service.")
    return parts.hostname, parts.port or 80


@contextmanager
def _progress_bar(users: int) -> Iterator[Callable[[int], None]]:
    """Show on stderr how many people are done."""
    with click.progressbar(length=users, label="people are done", file=sys.stderr, show_pos=True) as bar:
        yield lambda completed: bar.update(completed - bar.pos)


@contextmanager
def _database_monitor() -> Iterator[DatabaseMonitor | None]:
    """Yield a monitor of this installation's database, which uses the console lane; None for SQLite."""
    console = get_pooling().console
    if console.engine.dialect.name == "sqlite":
        yield None
        return
    with closing(ConnectionMonitor(current_app.config["SETTINGS"].database_url, console.read)) as monitor:
        yield DatabaseMonitor(monitor)
