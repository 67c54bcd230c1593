"""What one process needs to show the console: the fleet, its past, and the deeds; all for one app."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from sqlalchemy.exc import SQLAlchemyError

from webapp.console import deeds, history, observer, view
from webapp.console.deeds import Done, Wish
from webapp.console.history import Minute
from webapp.console.needs import Needs, needs_of
from webapp.console.overview import Sentence, sentences
from webapp.console.reports import measured
from webapp.console.view import View
from webapp.errors import BusyError, ForbiddenError
from webapp.pooling.extension import Pooling
from webapp.pooling.shared import SharedRead

HOUR, DAY = 3600, 24 * 3600
PAST_GOOD_FOR = 20.0
"""Seconds; a minute's row comes once a minute."""


@dataclass(frozen=True)
class Shown:
    """What the overview shows: the fleet, what is said of it, and its past; `past_trouble` says why there is none."""

    view: View
    needs: Needs
    sentences: Sequence[Sentence]
    past: Sequence[Minute]
    past_trouble: str | None


class Watching:
    """The console of one app; asks the database on the console lane only."""

    def __init__(
        self,
        pooling: Pooling,
        machine: str,
        reports: Path,
        *,
        is_read_only: bool,
        tick: Callable[[], None] | None = None,
    ) -> None:
        """Ask nothing yet. `tick` is called about once a second in one process of the fleet.

        `reports` is the folder where the lab keeps what it has measured.
        """
        self.reports = reports
        if pooling.publisher is None:
            raise ValueError("A console needs a folder in which the fleet meets.")
        self.is_read_only = is_read_only
        self._pooling = pooling
        self._machine = machine
        self._publisher = pooling.publisher
        self._publisher.lead = observer.Observer(self._publisher.folder, pooling.console, machine, tick).lead
        self._past = {seconds: SharedRead(partial(self._read_past, seconds), PAST_GOOD_FOR) for seconds in (HOUR, DAY)}

    def view(self) -> View:
        """Return the fleet as it is; no connection is used."""
        folder = self._publisher.folder
        observer.watch(folder.path)
        return view.gather(folder, self._machine, self._pooling.fleet, self._pooling.settings)

    def show(self, seconds: int) -> Shown:
        """Return everything, with the past of the last hour or day."""
        seen = self.view()
        trouble = None
        hour: Sequence[Minute] = ()
        past: Sequence[Minute] = ()
        try:
            if seen.server.trouble is not None:
                # It would only take time; what was read before is still there.
                hour, past = self._past[HOUR].last() or (), self._past[seconds].last() or ()
                trouble = "The past cannot be read while the database is away."
            else:
                hour, past = self._past[HOUR].get(), self._past[seconds].get()
        except SQLAlchemyError as error:
            trouble = f"The past cannot be read just now: {type(error).__name__}."
        needs = needs_of(seen.processes, [one for one in hour if one.machine == self._machine])
        return Shown(seen, needs, sentences(seen, needs, measured(self.reports)), past, trouble)

    def wish(self, deed: str, values: Mapping[str, str]) -> Wish:
        """Return what was asked for, checked and in words.

        Raises:
            ForbiddenError: when this console only shows.
            DomainError: when it cannot be done.
        """
        if self.is_read_only:
            raise ForbiddenError("This console changes nothing: POOLPROOF_CONSOLE_READ_ONLY is set.")
        return deeds.wish(self.view(), deed, values, self._pooling.fleet)

    def do(self, operator: str, wished: Wish) -> str:
        """Do what was asked for, on the record; return what came of it.

        Raises:
            BusyError: when it could not be written down; then nothing was done.
        """
        try:
            return deeds.do(self._pooling.console, self._publisher.orders, operator, wished)
        except SQLAlchemyError as error:
            raise BusyError("The deed could not be written down, so nothing was done: the database is away.") from error

    def record(self) -> list[Done]:
        """Return what operators have done lately."""
        with self._pooling.console.read() as connection:
            return deeds.lately(connection)

    def _read_past(self, seconds: int) -> Sequence[Minute]:
        with self._pooling.console.read() as connection:
            return history.minutes(connection, seconds)


def watching_of(app: Any) -> Watching:
    """Return the console of a Flask app."""
    return cast("Watching", app.extensions["watching"])
