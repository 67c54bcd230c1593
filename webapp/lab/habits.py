"""What each way of coming by a connection does when it fills, is full, grows old, or loses some: by measuring."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, text

from webapp.lab.borrowing import Terms, Way
from webapp.lab.labour import first_words
from webapp.lab.observing import Observer

FEW, MANY = 5, 20
"""How many borrow at once; the second is more than any pool here lends."""
PATIENCE, AGE = 1.0, 1
"""Seconds: the pool's time-out and its greatest age, here."""
HOLDS_FOR, IDLE_FOR = 0.4, 1.2
LOOKS_EVERY = 0.02


@dataclass(frozen=True)
class Habits:
    """What was seen; connections are those on the server, times are seconds."""

    when_made: int
    """Connections before anybody has borrowed."""
    after_one: int
    after_few: int
    """After five were out at once and came back."""
    lent: int
    """Of twenty that asked at once and gave back nothing."""
    open_then: int
    after_many: int
    """When all had been given back."""
    turned_away: str
    """What the others of the twenty got, or an empty text."""
    turned_away_after: float | None
    waited: float | None
    """How long somebody waited at a full pool until something came back, which was after 0.4 s; None: nobody has to."""
    is_renewed: bool
    """Whether a connection above the greatest age is replaced."""
    failed_after_kill: int
    """Uses of ten, after one of five idle connections was killed."""
    closed_after_kill: int
    """Healthy connections that were closed for it."""
    failed_after_restart: int
    """Uses of ten, after all five were killed, as a restart of the server does."""


@dataclass
class _Held:
    """Threads that hold a connection each until they are released."""

    lent: int = 0
    words: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    """Of those that were turned away."""
    release: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)


pass_time = time.sleep


def habits_of(way: Way, database_url: str, observer: Observer) -> Habits:
    """Watch one way for some seconds."""
    with _engine(way, database_url, observer) as engine:
        made = observer.settled()
        _ask(engine)
        one = observer.settled()
        with _holding(engine, FEW):
            pass
        few = observer.settled()
    with _engine(way, database_url, observer) as engine:
        _ask(engine)
        with _holding(engine, MANY) as many:
            then = observer.settled()
        after = observer.settled()
    with _engine(way, database_url, observer) as engine:
        waited = _wait_for_one(engine, many.lent) if many.words else None
    with _engine(way, database_url, observer, recycle=AGE) as engine:
        first = _ask(engine)
        pass_time(IDLE_FOR)
        is_renewed = _ask(engine) != first
    failed, closed = _after_kills(way, database_url, observer, all_of_them=False)
    failed_all, _ = _after_kills(way, database_url, observer, all_of_them=True)
    turned_away = many.words[0] if many.words else ""
    turned_away_after = max(many.waits) if many.waits else None
    return Habits(
        made, one, few, many.lent, then, after, turned_away, turned_away_after, waited, is_renewed, failed, closed,
        failed_all,
    )  # fmt: skip


@contextmanager
def _engine(way: Way, database_url: str, observer: Observer, recycle: int = -1) -> Iterator[Engine]:
    engine = way.make(database_url, Terms(MANY, PATIENCE, recycle))
    try:
        yield engine
    finally:
        with suppress(Exception):
            engine.dispose()
        observer.kill_all()
        observer.settled()


@contextmanager
def _holding(engine: Engine, count: int) -> Iterator[_Held]:
    """Let so many threads borrow at once; the block runs when each has a connection or was turned away."""
    held = _Held()

    def hold() -> None:
        asked = time.monotonic()
        try:
            connection = engine.connect()
        except Exception as error:  # noqa: BLE001 - what a full pool says is what is asked
            with held.lock:
                held.waits.append(time.monotonic() - asked)
                held.words.append(first_words(error))
            return
        with held.lock:
            held.lent += 1
        held.release.wait()
        # One after the other, so that a connection that is shared is not used by two; a closed one may object.
        with held.lock, suppress(Exception):
            connection.close()

    with ThreadPoolExecutor(count) as threads:
        for _ in range(count):
            threads.submit(hold)
        try:
            while held.lent + len(held.words) < count:
                time.sleep(LOOKS_EVERY)
            yield held
        finally:
            held.release.set()


def _wait_for_one(engine: Engine, lent: int) -> float:
    """Return how long the next one waits at a full pool when a connection comes back after 0.4 s."""
    with _holding(engine, lent) as full, ThreadPoolExecutor(1) as aside:
        asked = time.monotonic()
        next_one = aside.submit(_ask, engine)
        time.sleep(HOLDS_FOR)
        full.release.set()
        next_one.result()
        return time.monotonic() - asked


def _after_kills(way: Way, database_url: str, observer: Observer, *, all_of_them: bool) -> tuple[int, int]:
    """Return how many of ten uses failed, and how many healthy connections are gone."""
    with _engine(way, database_url, observer) as engine:
        _ask(engine)
        with _holding(engine, FEW):
            pass
        observer.settled()
        idle = observer.ids()
        killed = idle if all_of_them else idle[:1]
        pass_time(IDLE_FOR)
        observer.kill(killed)
        observer.settled()
        failed = _failures(engine) + _failures(engine)
        observer.settled()
        return failed, len(set(idle) - set(killed) - set(observer.ids()))


def _failures(engine: Engine) -> int:
    """Borrow five, then use each, as five requests at once would; returns how many could not."""
    failed, borrowed = 0, []
    for _ in range(FEW):
        try:
            borrowed.append(engine.connect())
        except Exception:  # noqa: BLE001 - it is counted
            failed += 1
    for connection in borrowed:
        try:
            _id(connection)
        except Exception:  # noqa: BLE001 - it is counted
            failed += 1
        with suppress(Exception):
            connection.close()
    return failed


def _ask(engine: Engine) -> int:
    with engine.connect() as connection:
        return _id(connection)


def _id(connection: Connection) -> int:
    return int(connection.execute(text("SELECT CONNECTION_ID()")).scalar_one())
