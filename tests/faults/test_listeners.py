"""Listeners of other extensions that raise, on a real server and under load: which units of work fail, and why."""

from __future__ import annotations

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, event, text

from tests.faults.test_freshness import SIZE, identities, new_engine
from tests.servers import Server
from webapp.pooling.work import Work

UNITS, THREADS = 400, 8


class BrokenError(Exception):
    """What a listener raises."""


def work_hard(engine: Engine) -> Counter[str]:
    """Many units of work; count how they ended."""
    ends: Counter[str] = Counter()
    lock = threading.Lock()

    def one(_: int) -> None:
        try:
            with Work(engine).read() as connection:
                connection.execute(text("SELECT 1"))
        except BrokenError:
            how = "the listener's own error"
        else:
            how = "well"
        with lock:
            ends[how] += 1

    with ThreadPoolExecutor(THREADS) as workers:
        list(workers.map(one, range(UNITS)))
    return ends


@pytest.mark.parametrize(
    ("name", "fails_units"),
    [
        ("connect", True),
        ("checkout", True),
        ("checkin", True),
        ("reset", False),
        ("close", True),
        ("invalidate", False),
    ],
)
def test_a_listener_that_raises_fails_at_most_its_own_unit_and_costs_no_place(
    server: Server, name: str, fails_units: bool
) -> None:
    engine = new_engine(server.url("poolproof"))
    identities(engine)
    chance, raised = random.Random(7), []

    def listen(*arguments: object) -> None:
        if chance.random() < 0.1:
            raised.append(1)
            raise BrokenError(name)

    event.listen(engine, name, listen)
    disturber = threading.Timer(0.05, engine.pool.resize, (1,))  # type: ignore[attr-defined]
    disturber.start()
    ends = work_hard(engine)
    disturber.join()
    event.remove(engine, name, listen)
    assert sum(ends.values()) == UNITS
    assert ends["the listener's own error"] <= len(raised)
    if not fails_units:
        assert ends["well"] == UNITS
    # Every place serves again.
    engine.pool.resize(SIZE)  # type: ignore[attr-defined]
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert len(identities(engine)) == SIZE
    engine.dispose()
