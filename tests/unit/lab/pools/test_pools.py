"""Each way to come by a connection on a real server: what it does when it fills, is full, or loses connections."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from poolproof.lab.connection_monitor import ConnectionMonitor
from tests.support.clock import SettableClock
from tests.support.commands import called
from tests.support.narrowing import not_none
from tests.unit.poolproof.lab.test_scratch_schema import all_schemas
from webapp.lab.pools import pool_behaviour, pool_benchmark
from webapp.lab.pools.pool_behaviour import PoolBehaviour
from webapp.lab.pools.pool_benchmark import BenchmarkResult, BenchmarkTask, summarize_error
from webapp.lab.pools.pool_types import DEFAULT_QUEUE_POOL, POOL_TYPES, POOLPROOF_POOL, PoolType
from webapp.lab.services.programs import Flavour

SMALL = BenchmarkTask(threads=8, requests=3, seconds=0.001)
UNITS = 8 * 3 * 3
pytestmark = pytest.mark.filterwarnings("ignore")
"""What is broken on purpose complains when it is collected."""


@pytest.fixture(scope="module")
def url(server_flavour: Flavour, new_schema: Callable[[str, str], str]) -> str:
    return new_schema(server_flavour, "poolproof_strategies")


@pytest.fixture(scope="module")
def monitor(url: str) -> Iterator[ConnectionMonitor]:
    with closing(ConnectionMonitor(url)) as monitor:
        yield monitor


@pytest.fixture(autouse=True)
def in_silence(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")


def pool_type(name: str) -> PoolType:
    return next(pool_type for pool_type in POOL_TYPES if pool_type.name == name)


@contextmanager
def clocks_that_pass() -> Iterator[None]:
    """Let idle time pass by setting the clocks that pools read; what waits for an event really waits."""
    with pytest.MonkeyPatch.context() as patch:
        ahead, clock = [0.0], SettableClock(time.monotonic)

        def sleep(seconds: float) -> None:
            ahead[0] += seconds
            clock.advance(seconds)

        # SQLAlchemy's pools have ages by the wall clock.
        patch.setattr(time, "time", lambda real=time.time: real() + ahead[0])
        patch.setattr(time, "monotonic", clock)
        patch.setattr("poolproof.runtime.clock.since_boot", clock)
        patch.setattr(pool_behaviour, "sleep_idle", sleep)
        yield


@pytest.fixture(scope="module")
def both(server_flavour: Flavour, new_schema: Callable[[str, str], str]) -> list[PoolBehaviour]:
    """Behaviour of the defaults and of ours, observed at the same time in schemas of their own; most of it waits."""

    def watched(name: str, url: str) -> PoolBehaviour:
        with closing(ConnectionMonitor(url)) as monitor:
            return pool_behaviour.observe_behaviour(pool_type(name), url, monitor)

    urls = [new_schema(server_flavour, name) for name in ("poolproof_theirs", "poolproof_ours")]
    with clocks_that_pass(), ThreadPoolExecutor(2) as threads:
        return list(threads.map(watched, (DEFAULT_QUEUE_POOL, POOLPROOF_POOL), urls))


@pytest.fixture(scope="module")
def theirs(both: list[PoolBehaviour]) -> PoolBehaviour:
    return both[0]


@pytest.fixture(scope="module")
def ours(both: list[PoolBehaviour]) -> PoolBehaviour:
    return both[1]


def work(name: str, url: str, monitor: ConnectionMonitor, task: BenchmarkTask = SMALL) -> BenchmarkResult:
    return pool_benchmark.run_benchmark(pool_type(name), url, task, monitor)


def test_both_pools_fill_from_none_and_grow_as_they_are_asked(theirs: PoolBehaviour, ours: PoolBehaviour) -> None:
    for behaviour in (theirs, ours):
        assert (
            behaviour.after_creation,
            behaviour.after_one,
            behaviour.after_small_burst,
            behaviour.max_checked_out,
            behaviour.open_at_peak,
        ) == (
            0,
            1,
            5,
            15,
            15,
        )


def test_overflow_is_closed_when_it_comes_back_and_a_full_size_is_kept(
    theirs: PoolBehaviour, ours: PoolBehaviour
) -> None:
    assert (theirs.after_large_burst, ours.after_large_burst) == (5, 15)


def test_at_a_full_pool_somebody_waits_for_what_comes_back_and_one_too_many_is_turned_away(
    theirs: PoolBehaviour, ours: PoolBehaviour
) -> None:
    assert theirs.rejection_message.startswith("TimeoutError: QueuePool limit of size 5 overflow 10 reached")
    assert ours.rejection_message.startswith("PoolTimeoutError: QueuePool limit of 15 connections reached")
    for behaviour in (theirs, ours):
        assert not_none(behaviour.wait_when_full) >= pool_behaviour.HOLD_DURATION
        assert not_none(behaviour.rejected_after) >= pool_behaviour.POOL_TIMEOUT


def test_an_old_connection_is_renewed(theirs: PoolBehaviour, ours: PoolBehaviour) -> None:
    assert theirs.is_recycled
    assert ours.is_recycled


def test_one_killed_connection_costs_the_defaults_all_others_and_ours_nothing(
    theirs: PoolBehaviour, ours: PoolBehaviour
) -> None:
    assert (theirs.failed_after_kill, theirs.closed_after_kill) == (1, 4)
    assert (ours.failed_after_kill, ours.closed_after_kill) == (0, 0)


def test_a_restart_is_not_seen_by_those_who_borrow_from_ours(theirs: PoolBehaviour, ours: PoolBehaviour) -> None:
    assert theirs.failed_after_restart == 5
    assert ours.failed_after_restart == 0


def test_without_a_pool_each_unit_opens_a_connection_and_each_request_one(url: str, monitor: ConnectionMonitor) -> None:
    each_unit, each_request = (work(name, url, monitor) for name in ("NullPool", "a connection per request"))
    assert (each_unit.units, each_unit.connects) == (UNITS, UNITS)
    assert (each_request.units, each_request.connects) == (UNITS, UNITS / 3)


@pytest.mark.parametrize("name", [DEFAULT_QUEUE_POOL, POOLPROOF_POOL, "SingletonThreadPool, all"])
def test_a_pool_does_the_work_on_few_connections(name: str, url: str, monitor: ConnectionMonitor) -> None:
    done = work(name, url, monitor)
    assert (done.units, done.failed, done.timed_out) == (UNITS, 0, False)
    assert done.connects <= 15
    assert len(done.finished_after) == 8


@pytest.mark.parametrize("name", ["StaticPool", "SingletonThreadPool, 5"])
def test_what_threads_cannot_share_fails_and_says_how(name: str, url: str, monitor: ConnectionMonitor) -> None:
    done = work(name, url, monitor, BenchmarkTask(threads=16, requests=10, seconds=0.001))
    assert done.failed > 0
    assert done.most_frequent_error in done.errors


def test_an_error_is_told_in_the_drivers_own_words_without_a_link() -> None:
    assert summarize_error(ValueError("read of closed file\nmore")) == "ValueError: read of closed file"
    assert summarize_error(TimeoutError("limit (Background on this error at: https://…)")) == "TimeoutError: limit"
    assert summarize_error(ValueError()) == "ValueError"


def test_the_command_compares_ways_and_leaves_nothing_behind(url: str, tmp_path: Path) -> None:
    options = (
        "--threads",
        "4",
        "--requests",
        "2",
        "--rounds",
        "1",
        "--pool",
        DEFAULT_QUEUE_POOL,
        "--pool",
        "NullPool",
        "--json",
    )
    with clocks_that_pass():
        done = called(url, tmp_path, "lab", "strategies", *options)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [work["pool"] for work in report["data"]["work"]] == [DEFAULT_QUEUE_POOL, "NullPool"]
    assert [row[0] for row in report["tables"][0]["rows"]] == [DEFAULT_QUEUE_POOL, "NullPool"]
    assert set(report["data"]["behaviour"]) == {DEFAULT_QUEUE_POOL, "NullPool"}
    assert report["command"].endswith(f"--pool '{DEFAULT_QUEUE_POOL}' --pool 'NullPool'")
    assert report["is_complete"]
    assert [name for name in all_schemas(url) if name.startswith("poolproof_lab_strategies")] == []
    assert "is observed · about" in done.stderr
