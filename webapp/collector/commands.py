"""`poolproof collect`: questions from a source into the bank, here or by workers."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType
from typing import Any

import click

from poolproof.fleet.registry import FleetDirectory
from poolproof.integrations.flask_ext import get_pooling, registered_process
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.collector import http_fetcher, runs
from webapp.collector.load_throttle import LoadThrottle, lower_process_priority
from webapp.collector.runs import Run, Status
from webapp.collector.sources.registry import SourceRegistry
from webapp.collector.worker import CollectionWorker, worker_name

EXIT_CODES = {Status.FINISHED: 0, Status.PAUSED: 0, Status.FAILED: 1, Status.CANCELLED: 130}


@click.command()
@click.argument("source", required=False)
@click.option("--resume", "resumed", type=int, metavar="RUN", help="Go on with a run that was cancelled or has failed.")
@click.option("--worker", "as_worker", is_flag=True, help="Carry out what is queued, for ever; `serve` starts these.")
@click.option("--list", "listing", is_flag=True, help="Name the sources, and the latest runs.")
@click.option("--parent", type=int, hidden=True, help="End when this process is gone.")
def collect(source: str | None, resumed: int | None, as_worker: bool, listing: bool, parent: int | None) -> None:
    """Collect the questions of SOURCE into the bank.

    Its limits hold over all processes. Ctrl-C ends in order; the run can be resumed. The exit status is 0 when
    everything is collected or the run is paused until the source has calls left, 1 when it failed.
    """
    work = get_pooling().background
    app = click.get_current_context().obj.load_app()
    sources: SourceRegistry = app.extensions["source_registry"]
    if sum((source is not None, resumed is not None, as_worker, listing)) != 1:
        raise click.UsageError("Say one of: a SOURCE, --resume RUN, --worker, --list.")
    if listing:
        _print_list(work, sources)
        return
    with http_fetcher.create_client(app.config["SETTINGS"].poolproof.collector_contact) as http:
        lower_process_priority()
        folder = get_pooling().fleet_folder
        worker = CollectionWorker(
            work, http, sources, LoadThrottle(FleetDirectory(folder) if folder is not None else None)
        )
        _install_signal_handlers(worker.stop)
        with registered_process(get_pooling(), "collect"):
            if as_worker:
                worker.run_forever(lambda: parent is not None and os.getppid() != parent)
                return
            run = _claim_run(work, sources, source, resumed)
            present = _execute_with_progress(worker, run)
    _print_summary(present)
    sys.exit(EXIT_CODES.get(Status(present.status), 1))


def _claim_run(work: UnitOfWork, sources: SourceRegistry, source: str | None, run_id: int | None) -> Run:
    known = sources.find(source) if source is not None else None

    def take(connection: Any) -> Run | None:
        # In one transaction: no worker comes between.
        if known is not None:
            run = runs.enqueue(connection, known.name, None)
        else:
            assert run_id is not None  # noqa: S101 - one of the two was given
            run = runs.resume(connection, run_id)
        return runs.claim_run(connection, worker_name(), run.id)

    taken = work.run_in_transaction(take)
    if taken is None:
        raise click.ClickException("A worker has just taken it up; see `poolproof collect --list`.")
    return taken


def _execute_with_progress(worker: CollectionWorker, run: Run) -> Run:
    hidden = not sys.stderr.isatty()
    bar: Any = None

    def tell(present: Run) -> None:
        # Before the work is listed nobody knows how long the bar is.
        nonlocal bar
        if present.expected is None:
            return
        if bar is None:
            label, length = f"run {run.id}", present.expected
            bar = shown.enter_context(
                click.progressbar(length=length, label=label, file=sys.stderr, hidden=hidden, show_pos=True)
            )
        # What a strand returns once more is not progress.
        bar.update(min(present.returned, present.expected) - bar.pos)

    with ExitStack() as shown:
        return worker.execute(run, on_progress=tell)


def _print_summary(run: Run) -> None:
    counts = f"{run.returned} returned, {run.new} new, {run.changed} changed, {run.duplicate} duplicate"
    click.echo(f"Run {run.id} of {run.source} is {run.status}: {counts}, {run.rejected} rejected; {run.calls} calls.")
    if run.resumes_at is not None:
        click.echo(f"Today's calls are used up; a worker goes on at {run.resumes_at:%Y-%m-%d %H:%M} UTC.")
    if run.error:
        click.echo(run.error, err=True)
    if run.status in {Status.CANCELLED, Status.FAILED}:
        click.echo(f"Nothing stored is lost. Go on with: poolproof collect --resume {run.id}", err=True)


def _print_list(work: UnitOfWork, sources: SourceRegistry) -> None:
    known, faults = sources.scan()
    for source in known:
        limits = source.limits
        daily = f", {limits.daily} calls a day" if limits.daily is not None else ""
        spacing = f"one call each {limits.spacing:g} s" if limits.spacing else f"{limits.concurrency} calls at once"
        click.echo(f"{source.name:<20}  {source.title} ({source.address}; {spacing}{daily}; {source.licence})")
    for fault in faults:
        click.echo(f"Not to be used: {fault}", err=True)
    with work.read() as connection:
        latest = runs.list_runs(connection, None, 10)
    for run in latest.rows:
        click.echo(f"run {run.id}  {run.source}  {run.status}  {run.returned} returned, {run.new} new")


def _install_signal_handlers(stop: Callable[[], None]) -> None:
    def told(number: int, frame: FrameType | None) -> None:
        # Told twice: at once.
        if signal.getsignal(signal.SIGINT) is told:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        stop()

    # A shell starts the background jobs of a script with SIGINT ignored: Ctrl-C is not for them. SIGTERM always is.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, told)
    signal.signal(signal.SIGTERM, told)
