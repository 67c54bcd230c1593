"""An operator's commands to a running process, executed on real connections."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

import pytest
from sqlalchemy import create_engine, make_url, text

from poolproof.core.queue_pool import FairQueuePool
from poolproof.engine import engine_options
from poolproof.fleet import process_snapshot
from poolproof.fleet.command_handler import CommandHandler
from poolproof.fleet.commands import CommandError, CommandQueue
from poolproof.integrations.flask_ext import PoolingState
from poolproof.lanes import Lanes, fair_pools, open_lanes
from poolproof.runtime.files import JsonObject
from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.waiting import wait_until

ONE = text("SELECT 1")
LONG_ON_SQLITE = text(
    "WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted LIMIT 2000000000) "
    "SELECT COUNT(*) FROM counted"
)


def open_on(url: str) -> Lanes:
    address = make_url(url)
    settings = PoolSettings(size=1, background_size=1, timeout=5)
    return open_lanes(create_engine(address, **engine_options(settings, address, threads=1)), settings)


def close(lanes: Lanes) -> None:
    for lane in lanes:
        pool = lane.engine.pool
        assert isinstance(pool, FairQueuePool)
        assert pool.checkedout() == 0
        lane.engine.dispose()


@pytest.fixture
def lanes(pooling: PoolingState) -> Iterator[Lanes]:
    """Lanes of one connection each, on the same database as the app's."""
    lanes = open_on(pooling.work.engine.url.render_as_string(hide_password=False))
    yield lanes
    close(lanes)


def end_command(lanes: Lanes) -> JsonObject:
    """Return the command to end the one checkout of the interactive lane, as the console sends it."""
    (checkout,) = lanes.interactive.leak_detector.checkouts.live()
    return {"action": "end", "connection": process_snapshot.connection_id(checkout), "checkout": checkout.number}


def test_ending_an_idle_hold_frees_its_place_at_once_and_its_holder_gets_an_error(lanes: Lanes) -> None:
    handler, go_on = CommandHandler(lanes), threading.Event()

    def hold() -> None:
        with UnitOfWork(lanes.interactive.engine).transaction() as connection:
            connection.execute(ONE)
            assert go_on.wait(10)
            connection.execute(ONE)

    def wait() -> int:
        with UnitOfWork(lanes.interactive.engine).read() as connection:
            return int(connection.execute(ONE).scalar_one())

    with ThreadPoolExecutor(2) as threads:
        holder = threads.submit(hold)
        wait_until(lambda: len(lanes.interactive.leak_detector.checkouts.live()) == 1)
        wait_until(lambda: lanes.interactive.leak_detector.checkouts.live()[0].idle_seconds(time.monotonic()) > 0.05)
        waiter = threads.submit(wait)
        wait_until(lambda: lanes.interactive.engine.pool.waiting() == 1)  # type: ignore[attr-defined]
        outcome = handler.execute(end_command(lanes))
        assert waiter.result(timeout=30) == 1, "while the holder still sleeps"
        go_on.set()
        assert holder.exception(timeout=30) is not None
    assert outcome.startswith("Ended connection ")
    assert "test_command_handler.py" in outcome


def test_a_transaction_that_was_ended_has_changed_nothing(lanes: Lanes) -> None:
    handler, work = CommandHandler(lanes), UnitOfWork(lanes.interactive.engine)
    with work.transaction() as connection:
        connection.execute(text("DROP TABLE IF EXISTS steered"))
        connection.execute(text("CREATE TABLE steered (number INTEGER)"))

    def write() -> None:
        with work.transaction() as connection:
            connection.execute(text("INSERT INTO steered VALUES (1)"))
            handler.execute(end_command(lanes))

    with pytest.raises(Exception, match=r".+"):
        write()
    with work.read() as connection:
        assert connection.execute(text("SELECT COUNT(*) FROM steered")).scalar_one() == 0
    with work.transaction() as connection:
        connection.execute(text("DROP TABLE steered"))


def test_a_long_statement_on_a_server_is_ended_there_and_not_tried_again(
    server_flavour: str, new_schema: Callable[[str, str], str]
) -> None:
    lanes = open_on(new_schema(server_flavour, "steering"))
    handler, started_at = CommandHandler(lanes), time.monotonic()

    def sleep() -> None:
        with UnitOfWork(lanes.interactive.engine).read() as connection:
            connection.execute(text("SELECT SLEEP(60)"))

    def wait() -> int:
        with UnitOfWork(lanes.interactive.engine).read() as connection:
            return int(connection.execute(ONE).scalar_one())

    def runs_there() -> int:
        with lanes.background.engine.connect() as connection:
            query = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'"
            return int(connection.execute(text(query)).scalar_one())

    with ThreadPoolExecutor(2) as threads:
        sleeper = threads.submit(sleep)
        wait_until(lambda: runs_there() == 1)
        waiter = threads.submit(wait)
        wait_until(lambda: lanes.interactive.engine.pool.waiting() == 1)  # type: ignore[attr-defined]
        handler.execute(end_command(lanes))
        assert sleeper.exception(timeout=30) is not None
        assert waiter.result(timeout=30) == 1
        assert runs_there() == 0
    assert time.monotonic() - started_at < 50
    assert lanes.interactive.engine.pool.statistics.snapshot().closed == {"lost": 1}  # type: ignore[attr-defined]
    close(lanes)


def test_a_long_statement_on_sqlite_is_interrupted(tmp_path: Path) -> None:
    lanes = open_on(f"sqlite:///{tmp_path / 'steering.sqlite'}")
    handler = CommandHandler(lanes)

    def count() -> None:
        with UnitOfWork(lanes.interactive.engine).read() as connection:
            connection.execute(LONG_ON_SQLITE)

    with ThreadPoolExecutor(1) as threads:
        counter = threads.submit(count)
        wait_until(lambda: len(lanes.interactive.leak_detector.checkouts.live()) == 1)
        wait_until(lambda: "RECURSIVE" in lanes.interactive.leak_detector.checkouts.live()[0].statement)
        time.sleep(0.1)
        handler.execute(end_command(lanes))
        assert "interrupted" in str(counter.exception(timeout=30))
    close(lanes)


def test_a_connection_that_is_back_gives_a_refusal(lanes: Lanes) -> None:
    handler = CommandHandler(lanes)
    with lanes.interactive.engine.connect() as connection:
        connection.execute(ONE)
        command = end_command(lanes)
    with pytest.raises(CommandError, match="is back in its pool already"):
        handler.execute(command)


def test_what_is_not_known_is_refused(lanes: Lanes) -> None:
    for command in ({"action": "explode"}, {}):
        with pytest.raises(CommandError, match="does not know how to"):
            CommandHandler(lanes).execute(command)


def test_an_end_is_an_event_with_its_place(lanes: Lanes, recorded_events: list[dict[str, str]]) -> None:
    with lanes.interactive.engine.connect() as connection:
        connection.execute(ONE)
        CommandHandler(lanes).execute(end_command(lanes))
        connection.invalidate()
    (event,) = [event for event in recorded_events if event["kind"] == "ended"]
    assert "An operator has ended connection" in event["sentence"]
    assert "test_command_handler.py" in event["place"]


def test_draining_asks_this_process_to_end_as_gunicorn_would(lanes: Lanes) -> None:
    received: list[int] = []

    def record(number: int, frame: FrameType | None) -> None:
        received.append(number)

    before = signal.signal(signal.SIGTERM, record)
    try:
        assert "finishes its requests" in CommandHandler(lanes).execute({"action": "drain"})
        wait_until(lambda: received == [signal.SIGTERM])
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_standing_order_resizes_a_lane_until_it_is_taken_back(lanes: Lanes, tmp_path: Path) -> None:
    handler, commands = CommandHandler(lanes), CommandQueue(tmp_path)
    commands.set_overrides("master", sizes={"interactive": 3})
    for _ in range(2):
        handler.apply_overrides(commands.overrides("master"))
        assert {lane.name: pool.size() for lane, pool in fair_pools(lanes)} == {
            "interactive": 3,
            "background": 1,
            "console": 1,
        }
    connections = [lanes.interactive.engine.connect() for _ in range(3)]
    for connection in connections:
        connection.close()
    commands.set_overrides("master", sizes=None)
    handler.apply_overrides(commands.overrides("master"))
    pool = lanes.interactive.engine.pool
    assert isinstance(pool, FairQueuePool)
    assert (pool.size(), pool.checkedin()) == (1, 1)


def test_a_lane_that_grows_serves_who_waits_already(lanes: Lanes) -> None:
    handler = CommandHandler(lanes)
    with lanes.interactive.engine.connect(), ThreadPoolExecutor(1) as threads:
        waiter = threads.submit(lambda: lanes.interactive.engine.connect().close())
        wait_until(lambda: lanes.interactive.engine.pool.waiting() == 1)  # type: ignore[attr-defined]
        handler.apply_overrides({"sizes": {"interactive": 2}})
        waiter.result(timeout=30)


def test_a_standing_order_pauses_a_lane_until_it_is_taken_back_each_told_once(
    lanes: Lanes, recorded_events: list[dict[str, str]]
) -> None:
    handler = CommandHandler(lanes)
    lanes.background.engine.connect().close()
    for _ in range(3):
        handler.apply_overrides({"paused": ["background"]})
    assert lanes.background.is_suspended()
    assert not lanes.interactive.is_suspended()
    assert lanes.background.engine.pool.checkedin() == 0  # type: ignore[attr-defined]
    for _ in range(3):
        handler.apply_overrides({})
    assert not lanes.background.is_suspended()
    sentences = [event["sentence"] for event in recorded_events if event["kind"] == "pause"]
    assert sentences == ["The background lane is paused.", "The background lane goes on."]


def test_a_lane_may_be_paused_and_resized_at_once(lanes: Lanes) -> None:
    handler = CommandHandler(lanes)
    handler.apply_overrides({"paused": ["background"], "sizes": {"background": 2}})
    assert lanes.background.is_suspended()
    handler.apply_overrides({"sizes": {"background": 2}})
    connections = [lanes.background.engine.connect() for _ in range(2)]
    for connection in connections:
        connection.close()
    assert lanes.background.engine.pool.size() == 2  # type: ignore[attr-defined]
