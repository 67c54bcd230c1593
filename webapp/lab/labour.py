"""The same small work done in each way: threads that borrow, ask a short question, check the answer, and give back."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from textwrap import shorten

from sqlalchemy import Connection, Engine, event, text

from webapp.lab.borrowing import READ_WITHIN, Terms, Way
from webapp.lab.observing import LOOKS_EVERY, Observer

UNITS_OF_A_REQUEST = 3
LONGEST = 15.0
"""Seconds, after which a way is stopped."""
LONGEST_WORDS = 200
# The answer says who has asked: where a connection is shared, it may reach somebody else.
QUESTION = text("SELECT :token, SLEEP(:seconds)")


@dataclass(frozen=True)
class Task:
    """How much is to be done; `seconds` is how long the server takes for one answer."""

    threads: int
    requests: int
    """Of each thread; each has three units: borrow, ask, give back."""
    seconds: float


@dataclass
class Done:
    """What became of it in one way; times in seconds."""

    way: Way
    seconds: float = 0.0
    units: int = 0
    waits: list[float] = field(default_factory=list)
    """Until a connection was there, for each borrowing."""
    finished_after: list[float] = field(default_factory=list)
    """Each thread's end."""
    connects: int = 0
    peak: int = 0
    """Connections on the server."""
    course: Sequence[tuple[float, int]] = ()
    """Connections on the server over time."""
    errors: dict[str, int] = field(default_factory=dict)
    strangers: int = 0
    """Answers to somebody else's question."""
    was_stopped: bool = False
    """Whether there was not time for all of it."""

    @property
    def failed(self) -> int:
        """Units that ended in an error."""
        return sum(self.errors.values())

    @property
    def worst(self) -> str:
        """The most frequent error, or an empty text."""
        return max(self.errors, key=lambda words: self.errors[words], default="")


class WrongAnswerError(Exception):
    """The answer belongs to another thread's question."""


def work(way: Way, database_url: str, task: Task, observer: Observer) -> Done:
    """Do the task in one way; whatever goes wrong is counted."""
    done = Done(way)
    engine = way.make(database_url, Terms(task.threads))
    _count_connects(engine, done)
    lock, start = threading.Lock(), threading.Barrier(task.threads + 1)

    def act(number: int) -> None:
        own = _Worker(engine, task, number)
        start.wait()
        began = time.monotonic()
        own.work(began + LONGEST, whole=way.for_a_whole_request)
        with lock:
            own.tell(done, time.monotonic() - began)

    threads = [threading.Thread(target=act, args=(number,)) for number in range(task.threads)]
    for thread in threads:
        thread.start()
    with observer.looking() as course:
        began = time.monotonic()
        start.wait()
        _wait_for(threads, observer, began + LONGEST + READ_WITHIN)
        done.seconds = time.monotonic() - began
    done.course, done.peak = course, max((count for _, count in course), default=0)
    with suppress(Exception):
        # A connection that was shared may not be closed in order any more.
        engine.dispose()
    observer.kill_all()
    return done


def _wait_for(threads: Sequence[threading.Thread], observer: Observer, until: float) -> None:
    """Wait for their ends; wake whoever still waits then for an answer that somebody else has read."""
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    while any(thread.is_alive() for thread in threads):
        observer.kill_all()
        for thread in threads:
            thread.join(LOOKS_EVERY)


def _count_connects(engine: Engine, done: Done) -> None:
    @event.listens_for(engine, "connect")
    def count(dbapi_connection: object, record: object) -> None:
        done.connects += 1


class _Worker:
    """One thread's part; nobody else looks at it before it has ended."""

    def __init__(self, engine: Engine, task: Task, number: int) -> None:
        self._engine, self._task, self._number = engine, task, number
        self._asked = self._units = self._strangers = 0
        self._waits: list[float] = []
        self._errors: dict[str, int] = {}
        self._was_stopped = False

    def work(self, ends_at: float, *, whole: bool) -> None:
        """Do all requests, each on one connection or on one borrowed for each unit, or as many as there is time for."""
        borrowings = 1 if whole else UNITS_OF_A_REQUEST
        for _ in range(self._task.requests * borrowings):
            try:
                self._borrow(UNITS_OF_A_REQUEST // borrowings)
            except Exception as error:  # noqa: BLE001 - which errors a way has is what is asked
                self._strangers += isinstance(error, WrongAnswerError)
                words = first_words(error)
                self._errors[words] = self._errors.get(words, 0) + 1
            if time.monotonic() > ends_at:
                self._was_stopped = True
                return

    def _borrow(self, units: int) -> None:
        asked = time.monotonic()
        with self._engine.connect() as connection:
            self._waits.append(time.monotonic() - asked)
            for _ in range(units):
                self._ask(connection)

    def _ask(self, connection: Connection) -> None:
        self._asked += 1
        token = self._number * 1_000_000 + self._asked
        answer = connection.execute(QUESTION, {"token": token, "seconds": self._task.seconds}).one()
        if int(answer[0]) != token:
            raise WrongAnswerError("the answer belongs to another thread's question")
        self._units += 1

    def tell(self, done: Done, seconds: float) -> None:
        """Add this thread's part to the whole."""
        done.units += self._units
        done.waits += self._waits
        done.strangers += self._strangers
        done.finished_after.append(seconds)
        done.was_stopped |= self._was_stopped
        for words, count in self._errors.items():
            done.errors[words] = done.errors.get(words, 0) + count


def first_words(error: BaseException) -> str:
    """Return the name and the first line of an error, of the driver's where there is one."""
    cause = getattr(error, "orig", None) or error
    line = (str(cause).strip().splitlines() or [""])[0].partition(" (Background on")[0]
    return shorten(f"{type(cause).__name__}: {line}".removesuffix(": "), LONGEST_WORDS, placeholder=" …")
