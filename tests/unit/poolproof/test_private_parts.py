"""The private parts of SQLAlchemy and PyMySQL that are used exist in the installed versions and mean what is expected.

The lists are in the docstrings of poolproof/core/connection_record.py, core/replacement.py and
drivers/mysql/connection.py; what core/replacement.py reads is held by its own test.
"""

from __future__ import annotations

import re
import socket
import sqlite3
import time
import tokenize
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pymysql
import pytest
from pymysql.connections import MySQLResult
from sqlalchemy import event
from sqlalchemy.pool import QueuePool
from sqlalchemy.pool.base import _ConnectionFairy, _ConnectionRecord

import poolproof
from poolproof.core import connection_record, replacement
from poolproof.core.queue_pool import FairQueuePool
from poolproof.drivers.mysql import connection as mysql_connection

LISTED_MODULES = ("core/connection_record.py", "core/replacement.py", "drivers/mysql/connection.py")
QUOTED = re.compile(r"`([^`]+)`")
PRIVATE_NAME = re.compile(r"\b_[A-Za-z]\w*")


def connect() -> Any:
    return sqlite3.connect(":memory:", check_same_thread=False)


@pytest.fixture
def pool() -> Iterator[QueuePool]:
    pool = QueuePool(connect, pool_size=1, max_overflow=0)
    yield pool
    pool.dispose()


def borrowed(pool: QueuePool) -> tuple[_ConnectionFairy, _ConnectionRecord]:
    proxy: Any = pool.connect()
    return proxy, proxy._connection_record


def test_a_record_opens_and_closes_its_connection_by_two_private_steps(pool: QueuePool) -> None:
    proxy, record = borrowed(pool)
    first, mangled = record.dbapi_connection, record
    getattr(mangled, "_ConnectionRecord__close")()  # noqa: B009 - mypy does not know mangled names
    with pytest.raises(sqlite3.ProgrammingError):
        proxy.cursor()
    getattr(mangled, "_ConnectionRecord__connect")()  # noqa: B009
    assert record.dbapi_connection is not first
    proxy.invalidate()


def test_what_was_opened_before_a_pools_or_a_records_time_is_renewed(pool: QueuePool) -> None:
    for holder in ("pool", "record"):
        proxy, record = borrowed(pool)
        first = record.dbapi_connection
        proxy.close()
        if holder == "pool":
            pool._invalidate_time = time.time() + 0.001
        else:
            record._soft_invalidate_time = time.time() + 0.001
        time.sleep(0.01)
        proxy, record = borrowed(pool)
        assert record.dbapi_connection is not first, holder
        proxy.close()


def test_recycle_is_the_age_in_seconds_at_which_a_connection_is_renewed(pool: QueuePool) -> None:
    assert pool._recycle == -1
    proxy, record = borrowed(pool)
    first = record.dbapi_connection
    proxy.close()
    pool._recycle = 100
    record.starttime -= 101
    proxy, record = borrowed(pool)
    assert record.dbapi_connection is not first
    proxy.close()


def test_a_pool_closes_a_connection_by_its_dialect(pool: QueuePool) -> None:
    connection: Any = sqlite3.connect(":memory:")
    pool._close_connection(connection, terminate=True)
    with pytest.raises(sqlite3.ProgrammingError):
        connection.cursor()


def test_a_record_that_is_returned_is_idle(pool: QueuePool) -> None:
    record: Any = pool._do_get()
    assert pool.checkedin() == 0
    pool._do_return_conn(record)
    assert pool.checkedin() == 1


def test_a_checkout_is_all_that_connect_does(pool: QueuePool) -> None:
    for connect_by in (_ConnectionFairy._checkout, QueuePool.connect):
        proxy: Any = connect_by(pool)
        assert (type(proxy), pool.checkedout()) == (_ConnectionFairy, 1)
        proxy.close()


@pytest.mark.skipif(not hasattr(_ConnectionFairy, "_finalizer"), reason="SQLAlchemy 2.0 has a weak reference instead")
def test_a_proxy_whose_finalizer_is_detached_returns_nothing(pool: QueuePool) -> None:
    proxy, record = borrowed(pool)
    proxy._finalizer.detach()
    assert not proxy._finalizer.alive
    del proxy
    assert pool.checkedin() == 0
    pool._do_return_conn(record)


def test_recreate_copies_what_the_pool_keeps_of_its_arguments() -> None:
    pool: Any = QueuePool(connect, pre_ping=True, logging_name="named", reset_on_return="commit", recycle=7)
    assert (pool._pre_ping, pool._orig_logging_name, pool._reset_on_return.name) == (True, "named", "reset_commit")
    assert (pool.recreate()._recycle, pool._dialect.is_async) == (7, False)


def test_all_arguments_survive_recreate() -> None:
    options: dict[str, Any] = {"max_waiting": 7, "use_lifo": False, "timeout": 1.5, "recycle": 99}
    pool = FairQueuePool(connect, pool_size=3, max_overflow=2, **options).recreate()
    assert (pool.size(), pool._max_overflow, pool._wait_queue.max_waiting, pool._use_lifo) == (3, 2, 7, False)
    assert (pool.timeout(), pool._recycle) == (1.5, 99)


@pytest.mark.parametrize("name", ["_do_get", "_do_return_conn", "_create_connection", "_invalidate"])
def test_a_pool_does_its_work_by_the_methods_that_ours_overrides(name: str) -> None:
    assert callable(getattr(QueuePool, name))


def test_a_pool_lends_returns_connects_and_invalidates_by_them() -> None:
    called: list[str] = []

    class Recording(QueuePool):
        def _do_get(self) -> Any:
            called.append("get")
            return super()._do_get()

        def _do_return_conn(self, record: Any) -> None:
            called.append("return")
            super()._do_return_conn(record)

        def _create_connection(self) -> Any:
            called.append("create")
            return super()._create_connection()

        def _invalidate(self, connection: Any, exception: BaseException | None = None, *rest: Any) -> None:
            called.append("invalidate")
            super()._invalidate(connection, exception, *rest)

    pool = Recording(connect)
    proxy = pool.connect()
    assert called == ["get", "create"]
    proxy.close()
    proxy = pool.connect()
    pool._invalidate(proxy)
    assert called[2:] == ["return", "get", "invalidate", "return"]
    pool.dispose()


def test_a_closed_connection_is_told_to_listeners_before_it_is_closed(pool: QueuePool) -> None:
    closed: list[object] = []
    event.listen(pool, "close", lambda dbapi_connection, record: closed.append(dbapi_connection))
    proxy, record = borrowed(pool)
    connection = record.dbapi_connection
    proxy.close()
    pool.dispose()
    assert closed == [connection]


def test_pymysql_bounds_a_read_by_what_stands_in_the_connection() -> None:
    timeouts: list[float] = []

    class Socket:
        def settimeout(self, seconds: float) -> None:
            timeouts.append(seconds)

        def close(self) -> None:
            """There is nothing to close."""

    class File:
        def read(self, count: int) -> bytes:
            raise TimeoutError

        def close(self) -> None:
            """There is nothing to close."""

    connection: Any = pymysql.Connection(defer_connect=True, read_timeout=3)
    assert connection._read_timeout == 3
    mysql_connection.set_read_timeout(connection, 7)
    connection._sock, connection._rfile, connection._current_timeout = Socket(), File(), 3
    with pytest.raises(pymysql.err.OperationalError):
        connection._read_packet()
    assert timeouts[:1] == [7]
    connection._sock = None


def test_pymysql_has_its_socket_where_another_thread_can_break_it() -> None:
    connection: Any = mysql_connection.TrackedConnection(defer_connect=True)
    assert connection._sock is None
    connection.abort()
    ours, theirs = socket.socketpair()
    with ours, theirs, ThreadPoolExecutor(1) as other:
        connection._sock = ours
        waiting = other.submit(ours.recv, 1)
        connection.abort()
        assert waiting.result(30) == b""
        connection._sock = None


def test_pymysql_keeps_the_last_result_with_its_warnings() -> None:
    connection: Any = pymysql.Connection(defer_connect=True)
    assert connection._result is None
    result: Any = MySQLResult(connection)
    assert (result.message, result.warning_count, result.server_status) == (None, 0, None)
    assert (result.unbuffered_active, result.has_next) == (False, None)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (pymysql.Connection, "_read_query_result"),
        (pymysql.Connection, "_read_packet"),
        (pymysql.Connection, "_read_ok_packet"),
        (MySQLResult, "_read_load_local_packet"),
        (MySQLResult, "_read_ok_packet"),
    ],
)
def test_pymysql_reads_results_by_the_methods_that_are_used(owner: type, name: str) -> None:
    assert callable(getattr(owner, name))


def test_a_file_that_a_server_asks_for_is_answered_by_the_overridden_method(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    class Packet:
        def is_ok_packet(self) -> bool:
            return False

        is_load_local_packet = is_ok_packet

    class Asking(Packet):
        def is_load_local_packet(self) -> bool:
            return True

    class Result(MySQLResult):
        def _read_load_local_packet(self, first_packet: Any) -> None:
            asked.append(first_packet)

    connection: Any = pymysql.Connection(defer_connect=True)
    packet = Asking()
    monkeypatch.setattr(connection, "_read_packet", lambda: packet)
    result: Any = Result(connection)
    result.read()
    assert asked == [packet]


@pytest.mark.parametrize("module", [connection_record, replacement, mysql_connection])
def test_what_is_listed_is_used_and_what_is_used_is_listed(module: Any) -> None:
    listed = {name for text in QUOTED.findall(module.__doc__) for name in PRIVATE_NAME.findall(text)}
    source = Path(module.__file__).read_text(encoding="utf-8")
    code = source.replace(module.__doc__, "")
    pool_code = Path(poolproof.__path__[0], "core/queue_pool.py").read_text(encoding="utf-8")
    assert {name for name in listed if name not in code + pool_code} <= {"_ConnectionFairy"}
    assert foreign_private_names(Path(module.__file__)) <= listed


def test_no_other_module_touches_a_private_part_of_another_object() -> None:
    root = Path(poolproof.__path__[0])
    modules = [path for path in root.rglob("*.py") if path.relative_to(root).as_posix() not in LISTED_MODULES]
    touching = {path.name: names for path in modules if (names := foreign_private_names(path))}
    # The interpreter's frames: the documented way.
    assert touching == {"call_site.py": {"_getframe", "_current_frames"}}


def foreign_private_names(path: Path) -> set[str]:
    """Return the private attributes that a module takes of anything but `self`, `cls` and `super()`."""
    with path.open("rb") as file:
        tokens = [token.string for token in tokenize.tokenize(file.readline)]
    triples = zip(tokens, tokens[1:], tokens[2:], strict=False)
    found = {name for owner, dot, name in triples if dot == "." and owner not in {"self", "cls", ")"}}
    return {name for name in found if re.match("_[A-Za-z]", name)}
