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

from webapp.collector import fetching, runs
from webapp.collector.courtesy import Courtesy, be_nice
from webapp.collector.runs import Run, Status
from webapp.collector.sources.known import Sources
from webapp.collector.worker import Worker, name
from webapp.pooling.extension import pooling_of_this_app, taking_part
from webapp.pooling.fleet import Folder
from webapp.pooling.work import Work

EXIT = {Status.FINISHED: 0, Status.PAUSED: 0, Status.FAILED: 1, Status.CANCELLED: 130}


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
    work = pooling_of_this_app().background
    app = click.get_current_context().obj.load_app()
    sources: Sources = app.extensions["sources"]
    if sum((source is not None, resumed is not None, as_worker, listing)) != 1:
        raise click.UsageError("Say one of: a SOURCE, --resume RUN, --worker, --list.")
    if listing:
        _list(work, sources)
        return
    with fetching.client(app.config["SETTINGS"].poolproof.contact) as http:
        be_nice()
        folder = pooling_of_this_app().fleet_folder
        worker = Worker(work, http, sources, Courtesy(Folder(folder) if folder is not None else None))
        _when_told_to_stop(worker.stop)
        with taking_part(pooling_of_this_app(), "collect"):
            if as_worker:
                worker.work(lambda: parent is not None and os.getppid() != parent)
                return
            run = _taken(work, sources, source, resumed)
            present = _watched(worker, run)
    _say(present)
    sys.exit(EXIT.get(Status(present.status), 1))


def _taken(work: Work, sources: Sources, source: str | None, resumed: int | None) -> Run:
    known = sources.find(source) if source is not None else None

    def take(connection: Any) -> Run | None:
        # In one transaction: no worker comes between.
        if known is not None:
            run = runs.order(connection, known.name, None)
        else:
            assert resumed is not None  # noqa: S101 - one of the two was given
            run = runs.resume(connection, resumed)
        return runs.take(connection, name(), run.id)

    taken = work.transact(take)
    if taken is None:
        raise click.ClickException("A worker has just taken it up; see `poolproof collect --list`.")
    return taken


def _watched(worker: Worker, run: Run) -> Run:
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
        return worker.carry_out(run, tell=tell)


def _say(run: Run) -> None:
    counts = f"{run.returned} returned, {run.new} new, {run.changed} changed, {run.duplicate} duplicate"
    click.echo(f"Run {run.id} of {run.source} is {run.status}: {counts}, {run.rejected} rejected; {run.calls} calls.")
    if run.resumes_at is not None:
        click.echo(f"Today's calls are used up; a worker goes on at {run.resumes_at:%Y-%m-%d %H:%M} UTC.")
    if run.error:
        click.echo(run.error, err=True)
    if run.status in {Status.CANCELLED, Status.FAILED}:
        click.echo(f"Nothing stored is lost. Go on with: poolproof collect --resume {run.id}", err=True)


def _list(work: Work, sources: Sources) -> None:
    known, faults = sources.look()
    for source in known:
        limits = source.limits
        daily = f", {limits.daily} calls a day" if limits.daily is not None else ""
        spacing = f"one call each {limits.spacing:g} s" if limits.spacing else f"{limits.concurrency} calls at once"
        click.echo(f"{source.name:<20}  {source.title} ({source.address}; {spacing}{daily}; {source.licence})")
    for fault in faults:
        click.echo(f"Not to be used: {fault}", err=True)
    with work.read() as connection:
        latest = runs.latest(connection, None, 10)
    for run in latest.rows:
        click.echo(f"run {run.id}  {run.source}  {run.status}  {run.returned} returned, {run.new} new")


def _when_told_to_stop(stop: Callable[[], None]) -> None:
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
