"""The pools under threads, on real servers."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import URL

from poolproof.core.queue_pool import FairQueuePool
from poolproof.lab.incident.report import summarize
from poolproof.lab.incident.rush import PoolKind, RushOptions, jain_index, make_engine, run_rush
from tests.support.migration_starts import NewSchema
from webapp.lab.services.programs import Flavour

THREADS = 24


def options(url: str, **changed: float) -> RushOptions:
    given = {"threads": THREADS, "pool_size": 2, "max_overflow": 0, "pool_timeout": 30, "hold": 0.01, "seconds": 1.0}
    return RushOptions(url, **{**given, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(("served", "index"), [([5, 5, 5], 1.0), ([9, 0, 0], 1 / 3), ([0, 0], 0.0)])
def test_the_index_is_one_when_all_get_the_same(served: list[int], index: float) -> None:
    assert jain_index(served) == pytest.approx(index)


def test_on_postgresql_the_fair_pool_serves_all_threads_alike(postgresql_url: URL) -> None:
    check(postgresql_url.render_as_string(hide_password=False))


def test_on_mysql_the_fair_pool_serves_all_threads_alike(server_flavour: Flavour, new_schema: NewSchema) -> None:
    check(new_schema(server_flavour, "poolproof_rush"))


def check(url: str) -> None:
    stock, fair = (summarize(run_rush(kind, options(url)), THREADS) for kind in PoolKind)
    assert stock.failed == fair.failed == 0
    assert fair.fairness > 0.9 > stock.fairness
    assert fair.wait_worst < stock.wait_worst


def test_a_full_pool_is_an_error_with_its_message(tmp_path: Path) -> None:
    requests = run_rush(
        PoolKind.STOCK, options(f"sqlite:///{tmp_path}/x", pool_size=1, pool_timeout=0.05, hold=0.2, seconds=0.6)
    )
    failed = [request for request in requests if request.error]
    assert {request.error for request in failed} == {"no connection in time"}
    assert failed[0].message.startswith("QueuePool limit of size 1 overflow 0 reached")


def test_the_fair_pool_is_that_of_an_adopted_engine(tmp_path: Path) -> None:
    stock, fair = (make_engine(kind, options(f"sqlite:///{tmp_path}/x")) for kind in PoolKind)
    assert not isinstance(stock.pool, FairQueuePool)
    assert isinstance(fair.pool, FairQueuePool)
    fair.dispose()
