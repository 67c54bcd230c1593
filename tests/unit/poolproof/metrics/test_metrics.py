from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator

import pytest

from poolproof.core.queue_pool import FairQueuePool
from poolproof.core.stats import PoolStatistics, RequestStatistics
from poolproof.errors import PoolTimeoutError
from poolproof.metrics.metrics import pool_families, pool_state, render_text, request_families
from tests.support.clock import SettableClock

OPENTELEMETRY = {
    # Not "gauge": promtool keeps the ending _count for histograms.
    "db_client_connection_count": "untyped",
    "db_client_connection_max": "gauge",
    "db_client_connection_idle_max": "gauge",
    "db_client_connection_idle_min": "gauge",
    "db_client_connection_pending_requests": "gauge",
    "db_client_connection_timeouts_total": "counter",
    "db_client_connection_create_time_seconds": "histogram",
    "db_client_connection_wait_time_seconds": "histogram",
    "db_client_connection_use_time_seconds": "histogram",
}
LINE = re.compile(r"([a-z_]+)\{([^}]*)\} (\+Inf|[0-9.e+-]+)")
LABEL = 'db_client_connection_pool_name="interactive"'


@pytest.fixture
def pool() -> Iterator[FairQueuePool]:
    pool = FairQueuePool(
        lambda: sqlite3.connect(":memory:", check_same_thread=False),
        pool_size=2,
        max_overflow=1,
        timeout=0.05,
        statistics=PoolStatistics(),
    )
    yield pool
    pool.dispose()


def text_of(pool: FairQueuePool) -> str:
    return render_text(pool_families([pool_state("interactive", pool, min_idle=1, violations={"leaked": 2})]))


def value(text: str, name: str, *labels: str) -> float:
    values = [
        float(number)
        for metric, inside, number in LINE.findall(text)
        if metric == name and set(inside.split(",")) == {LABEL, *labels}
    ]
    assert len(values) == 1, (name, labels, values)
    return values[0]


def test_all_nine_metrics_of_opentelemetry_are_there_with_their_types(pool: FairQueuePool) -> None:
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text_of(pool), re.MULTILINE))
    assert types.items() >= OPENTELEMETRY.items()
    assert len(types) == len(set(types))


def test_the_gauges_say_what_is_used_idle_waiting_and_allowed(pool: FairQueuePool) -> None:
    held = [pool.connect(), pool.connect()]
    held.pop().close()
    text = text_of(pool)
    held.pop().close()
    assert value(text, "db_client_connection_count", 'db_client_connection_state="used"') == 1
    assert value(text, "db_client_connection_count", 'db_client_connection_state="idle"') == 1
    assert value(text, "db_client_connection_max") == 3
    assert value(text, "db_client_connection_idle_max") == 2
    assert value(text, "db_client_connection_idle_min") == 1
    assert value(text, "db_client_connection_pending_requests") == 0
    assert value(text, "poolproof_pool_violations_total", 'kind="leaked"') == 2


def test_histograms_are_cumulative_and_end_with_their_count(pool: FairQueuePool, clock: SettableClock) -> None:
    clock.stop()
    for pause in (0, 0.01, 0.03):
        with pool.connect():
            clock.advance(pause)
    text = text_of(pool)
    name = "db_client_connection_use_time_seconds"
    buckets = [float(n) for metric, inside, n in LINE.findall(text) if metric == f"{name}_bucket" and LABEL in inside]
    assert buckets == sorted(buckets)
    assert buckets[-1] == value(text, f"{name}_count") == 3
    assert value(text, f"{name}_bucket", 'le="0.0078125"') == 1
    assert value(text, f"{name}_sum") == pytest.approx(0.04)
    assert value(text, "db_client_connection_create_time_seconds_count") == 1
    assert value(text, "db_client_connection_wait_time_seconds_count") == 3


def test_time_outs_and_closed_connections_are_counted(pool: FairQueuePool) -> None:
    held = [pool.connect() for _ in range(3)]
    with pytest.raises(PoolTimeoutError):
        pool.connect()
    for connection in held:
        connection.close()
    text = text_of(pool)
    assert value(text, "db_client_connection_timeouts_total") == 1
    assert value(text, "poolproof_pool_closed_total", 'reason="surplus"') == 1


def test_every_line_is_one_that_prometheus_reads(pool: FairQueuePool) -> None:
    pool.connect().close()
    for line in text_of(pool).splitlines():
        assert line.startswith(("# HELP ", "# TYPE ")) or LINE.fullmatch(line), line


def test_a_pool_that_counts_nothing_is_refused_with_what_to_do() -> None:
    pool = FairQueuePool(lambda: sqlite3.connect(":memory:"))
    with pytest.raises(ValueError, match="statistics=PoolStatistics"):
        pool_state("silent", pool)


def test_statements_are_counted_over_requests() -> None:
    requests = RequestStatistics()
    requests.record_request(3)
    requests.record_request(1)
    assert (requests.requests, requests.statements) == (2, 4)
    assert "poolproof_request_statements_total 4\n" in render_text(
        request_families(requests.requests, requests.statements)
    )
