"""`poolproof collect`: collect the questions of a source into the bank, in this process or by workers."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any

import click
from sqlalchemy import Connection

from poolproof.fleet.registry import FleetDirectory
from poolproof.integrations.flask_ext import get_pooling, registered_process
from webapp.collector import http_fetcher, runs
from webapp.collector.load_throttle import LoadThrottle, lower_process_priority
from webapp.collector.runs import Run, Status
from webapp.collector.sources.base import SourceLimits
from webapp.collector.sources.registry import SourceRegistry, get_source_registry
from webapp.collector.worker import CollectionWorker, worker_name

EXIT_CODES = {Status.FINISHED: 0, Status.PAUSED: 0, Status.FAILED: 1, Status.CANCELLED: 130}
MAX_LISTED_RUNS = 10


class _CollectGroup(click.Group):
    """The commands below; a source that is given in the place of one is answered with the command to use."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        if command is None and not ctx.resilient_parsing:
            raise click.UsageError(
                f"There is no command {cmd_name!r}; a source of this name is collected by"
                f" `poolproof collect run {cmd_name}` now.",
                ctx,
            )
        return command


@click.group(cls=_CollectGroup)
def collect() -> None:
    """Collect the questions of a source into the bank."""


@collect.command("run")
@click.argument("source")
def run_source(source: str) -> None:
    """Collect the questions of SOURCE into the bank.

    The source's limits hold over all processes. Ctrl-C cancels the run in an orderly way, and `collect resume`
    continues it. The exit status is 0 when everything is collected or the run is paused until the source allows
    more calls, 1 when it has failed, 130 when it was cancelled.
    """
    name = _get_sources().find(source).name
    _execute_here(lambda connection: runs.enqueue(connection, name, None))


@collect.command("resume")
@click.argument("run_id", metavar="RUN", type=int)
def resume_run(run_id: int) -> None:
    """Resume a cancelled or failed run.

    `collect list` shows the numbers of the latest runs.
    """
    _execute_here(lambda connection: runs.resume(connection, run_id))


@collect.command("worker")
@click.option("--parent", type=int, hidden=True, help="Exit when the process with this id has ended.")
def run_worker(parent: int | None) -> None:
    """Execute queued runs until stopped; `serve` starts such workers."""
    with _registered_worker() as worker:
        worker.run_forever(lambda: parent is not None and os.getppid() != parent)


@collect.command("list")
def list_sources_and_runs() -> None:
    """List the sources and the latest runs."""
    sources, config_errors = _get_sources().scan()
    for source in sources:
        click.echo(
            f"{source.name:<20}  {source.title} ({source.address}; {_describe_limits(source.limits)}; {source.licence})"
        )
    for error in config_errors:
        click.echo(f"Unusable source: {error}", err=True)
    with get_pooling().background.read() as connection:
        latest = runs.list_runs(connection, None, MAX_LISTED_RUNS)
    for run in latest.rows:
        click.echo(f"run {run.id}  {run.source}  {run.status}  {run.returned} returned, {run.new} new")


@contextmanager
def _registered_worker() -> Iterator[CollectionWorker]:
    """Give a worker that SIGINT and SIGTERM stop in an orderly way, while this process is registered in the fleet."""
    pooling = get_pooling()
    contact = _get_app().config["SETTINGS"].poolproof.collector_contact
    with http_fetcher.create_client(contact) as http:
        lower_process_priority()
        directory = FleetDirectory(pooling.fleet_folder) if pooling.fleet_folder is not None else None
        worker = CollectionWorker(pooling.background, http, _get_sources(), LoadThrottle(directory))
        _install_signal_handlers(worker.stop)
        with registered_process(pooling, "collect"):
            yield worker


def _execute_here(queue_run: Callable[[Connection], Run]) -> None:
    """Queue a run, execute it in this process, print the result and exit."""
    with _registered_worker() as worker:
        run = _execute_with_progress(worker, _claim_queued_run(queue_run))
    _print_summary(run)
    sys.exit(EXIT_CODES.get(Status(run.status), 1))


def _claim_queued_run(queue_run: Callable[[Connection], Run]) -> Run:
    def queue_and_claim(connection: Connection) -> Run | None:
        # In one transaction: otherwise a worker could claim the run first.
        run = queue_run(connection)
        return runs.claim_run(connection, worker_name(), run.id)

    run = get_pooling().background.run_in_transaction(queue_and_claim)
    if run is None:
        raise click.ClickException("A worker has just claimed the run; see `poolproof collect list`.")
    return run


def _execute_with_progress(worker: CollectionWorker, run: Run) -> Run:
    hidden = not sys.stderr.isatty()
    bar: Any = None

    def show_progress(present: Run) -> None:
        # The length of the bar is unknown until the source's partitions are listed.
        nonlocal bar
        if present.expected is None:
            return
        if bar is None:
            label, length = f"run {run.id}", present.expected
            bar = open_bars.enter_context(
                click.progressbar(length=length, label=label, file=sys.stderr, hidden=hidden, show_pos=True)
            )
        # A restarted partition returns records again, which is no progress.
        bar.update(min(present.returned, present.expected) - bar.pos)

    with ExitStack() as open_bars:
        return worker.execute(run, on_progress=show_progress)


def _print_summary(run: Run) -> None:
    counts = f"{run.returned} returned, {run.new} new, {run.changed} changed, {run.duplicate} duplicate"
    click.echo(f"Run {run.id} of {run.source} is {run.status}: {counts}, {run.rejected} rejected; {run.calls} calls.")
    if run.resumes_at is not None:
        click.echo(f"Today's calls are used up; a worker resumes the run at {run.resumes_at:%Y-%m-%d %H:%M} UTC.")
    if run.error:
        click.echo(run.error, err=True)
    if run.status in {Status.CANCELLED, Status.FAILED}:
        click.echo(f"Everything stored so far is kept. To resume: poolproof collect resume {run.id}", err=True)


def _get_app() -> Any:
    """Return the app of this command; commands know no Flask, so it comes from click's context."""
    return click.get_current_context().obj.load_app()


def _get_sources() -> SourceRegistry:
    return get_source_registry(_get_app())


def _describe_limits(limits: SourceLimits) -> str:
    daily = f", {limits.daily} calls a day" if limits.daily is not None else ""
    if limits.spacing:
        return f"one call every {limits.spacing:g} s{daily}"
    return f"up to {limits.concurrency} concurrent calls{daily}"


def _install_signal_handlers(stop: Callable[[], None]) -> None:
    def handle(number: int, frame: FrameType | None) -> None:
        # A second signal ends the process at once.
        if signal.getsignal(signal.SIGINT) is handle:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        stop()

    # A shell starts the background jobs of a script with SIGINT ignored: Ctrl-C is not meant for them. SIGTERM is.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
