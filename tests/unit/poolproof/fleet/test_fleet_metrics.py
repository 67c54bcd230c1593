"""The metrics of real processes as one text: of those alive, and of those that have exited."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import pytest

from poolproof.core import stats
from poolproof.core.stats import Histogram, PoolStatistics, RequestStatistics
from poolproof.fleet import process_snapshot
from poolproof.fleet.fleet_metrics import fleet_families
from poolproof.fleet.registry import FleetDirectory
from poolproof.integrations.flask_ext import PoolingState
from poolproof.metrics.metrics import render_text
from tests.unit.poolproof.fleet.member import several

LINE = re.compile(r"([a-z_]+)(?:\{(.*)\})? (\+Inf|[0-9.e+-]+)")
POOL = 'db_client_connection_pool_name="interactive"'


def counted(borrows: int, seconds: float, entries: list[int]) -> dict[str, Any]:
    """Return the counters of a process with so many checkouts of this length, and batches of these sizes."""
    statistics, requests = PoolStatistics(), RequestStatistics()
    slot = statistics.acquire_counters()
    for _ in range(borrows):
        slot.checkouts += 1
        slot.use_time_buckets[30] += 1
        slot.use_time_total += seconds
        requests.record_request(2)
        requests.record_response("GET", "/quizzes/<slug>", 200, seconds)
    requests.record_response("POST", "/a rule/with blanks", 503, seconds)
    statistics.record_rejected("timeout")
    statistics.record_closed("age")
    sizes = {size: entries.count(size) for size in entries}
    writer = {"batches": process_snapshot._batch_size_histogram(sizes), "entries": sum(entries), "refused": 1}
    return {
        "lanes": {"interactive": {**stats.snapshot_to_dict(statistics.snapshot()), "violations": {"leaked": 1}}},
        "requests": process_snapshot.request_counters(requests),
        "commits": {"writer": {**writer, "commits": stats.histogram_to_dict(Histogram())}},
    }


def now(used: int, oldest: float = 0.0, most: int | None = 4) -> dict[str, Any]:
    lane = {"used": used, "idle": 1, "size": 4, "most": most, "waiting": used, "oldest": oldest}
    return {"lanes": {"interactive": lane}, "commits": {"writer": {"waiting": 2}}}


def samples(folder: FleetDirectory) -> dict[tuple[str, str], float]:
    text = render_text(fleet_families(folder.snapshot(), min_idle=1))
    matches = [LINE.fullmatch(line) for line in text.splitlines() if not line.startswith("#")]
    assert all(matches), text
    values = {(match[1], match[2] or ""): float(match[3]) for match in matches if match}
    assert len(values) == len(matches), "no sample stands there twice"
    return values


@pytest.fixture
def folder(tmp_path: Path) -> FleetDirectory:
    return FleetDirectory(tmp_path / "fleet")


def test_gauges_are_summed_over_those_that_live_and_counters_over_all(folder: FleetDirectory) -> None:
    with several(folder.path, 3) as (process, other, dead):
        process.do("say", counted(3, 0.5, [1]), now(2, oldest=0.25))
        other.do("say", counted(4, 0.5, [1]), now(1, oldest=1.5))
        dead.do("say", counted(5, 0.5, [1]), now(4, oldest=9))
        dead.signal(signal.SIGKILL)
        values = samples(folder)
    assert values["db_client_connection_count", f'{POOL},db_client_connection_state="used"'] == 3
    assert values["db_client_connection_count", f'{POOL},db_client_connection_state="idle"'] == 2
    assert values["db_client_connection_max", POOL] == 8
    assert values["db_client_connection_idle_max", POOL] == 8
    assert values["db_client_connection_idle_min", POOL] == 2
    assert values["db_client_connection_pending_requests", POOL] == 3
    assert values["poolproof_pool_oldest_wait_seconds", POOL] == 1.5
    assert values["poolproof_processes", 'kind="worker"'] == 2
    assert values["db_client_connection_use_time_seconds_count", POOL] == 12
    assert values["db_client_connection_use_time_seconds_sum", POOL] == 6
    assert values["db_client_connection_timeouts_total", POOL] == 3
    assert values["poolproof_pool_closed_total", f'{POOL},reason="age"'] == 3
    assert values["poolproof_pool_violations_total", f'{POOL},kind="leaked"'] == 3
    assert values["poolproof_requests_total", ""] == 12
    assert values["poolproof_request_statements_total", ""] == 24
    assert values["poolproof_group_commit_waiting", 'writer="writer"'] == 4
    assert values["poolproof_group_commit_refused_total", 'writer="writer"'] == 3


def test_counters_stay_when_nobody_lives_any_more(folder: FleetDirectory) -> None:
    with several(folder.path, 1) as (process,):
        process.do("say", counted(3, 0.5, [1]), now(2))
    values = samples(folder)
    assert values["poolproof_requests_total", ""] == 3
    assert values["poolproof_processes", 'kind="worker"'] == 0
    assert values["db_client_connection_count", f'{POOL},db_client_connection_state="used"'] == 0


def test_a_fleet_that_has_said_nothing_yet_has_metrics_too(folder: FleetDirectory) -> None:
    assert samples(folder)["poolproof_requests_total", ""] == 0
    with several(folder.path, 1):
        assert samples(folder)["poolproof_processes", 'kind="worker"'] == 1


def test_requests_are_told_by_route_and_status(folder: FleetDirectory) -> None:
    with several(folder.path, 2) as processes:
        for process in processes:
            process.do("say", counted(2, 0.25, [1]), now(0))
        values = samples(folder)
    name = "http_server_request_duration_seconds"
    fine = 'http_request_method="GET",http_response_status_code="200",http_route="/quizzes/<slug>"'
    bad = 'http_request_method="POST",http_response_status_code="503",http_route="/a rule/with blanks"'
    assert values[f"{name}_count", fine] == 4
    assert values[f"{name}_sum", fine] == 1
    assert values[f"{name}_bucket", f'{fine},le="0.125"'] == 0
    assert values[f"{name}_bucket", f'{fine},le="0.5"'] == 4
    assert values[f"{name}_count", bad] == 2


def test_the_sizes_of_batches_are_cumulative_and_end_with_their_count(folder: FleetDirectory) -> None:
    entries = [1, 1, 2, 3, 4, 5, 64, 500]
    with several(folder.path, 2) as processes:
        for process in processes:
            process.do("say", counted(1, 0.1, entries), now(0))
        values = samples(folder)
    name, writer = "poolproof_group_commit_entries", 'writer="writer"'
    edges = [2**power for power in range(10)]
    below = [values[f"{name}_bucket", f'{writer},le="{edge}"'] for edge in edges]
    assert below == [2 * sum(size <= edge for size in entries) for edge in edges]
    assert values[f"{name}_bucket", f'{writer},le="+Inf"'] == values[f"{name}_count", writer] == below[-1] == 16
    assert values[f"{name}_sum", writer] == 2 * sum(entries)


def test_a_pool_without_bounds_in_one_process_has_none_in_sum(folder: FleetDirectory) -> None:
    with several(folder.path, 2) as (process, other):
        process.do("say", counted(1, 0.1, [1]), now(0, most=None))
        other.do("say", counted(1, 0.1, [1]), now(0))
        assert samples(folder)["db_client_connection_max", POOL] == float("inf")


def test_every_family_has_its_name_once(folder: FleetDirectory) -> None:
    with several(folder.path, 1) as (process,):
        process.do("say", counted(1, 0.1, [1]), now(0))
        names = [family.name for family in fleet_families(folder.snapshot(), min_idle=1)]
    assert len(names) == len(set(names))


def test_what_a_real_process_says_of_itself_is_read_as_metrics(pooling: PoolingState) -> None:
    agent = pooling.fleet_agent
    assert agent is not None
    with pooling.work.read():
        counts, state = agent._describe()
    registration = agent.folder.register({"name": "worker", "number": 1})
    try:
        registration.publish(counts, state)
        values = samples(agent.folder)
    finally:
        registration.unregister({})
    assert values["db_client_connection_count", f'{POOL},db_client_connection_state="used"'] == 1
    assert values["db_client_connection_use_time_seconds_count", POOL] >= 1
