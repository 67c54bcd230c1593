"""What applications rely on in SQLAlchemy's QueuePool holds for ours on PostgreSQL as well, adopted and owned.

The tests are those of the core, which run on SQLite.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
from sqlalchemy import URL, Engine, create_engine

from poolproof.core.queue_pool import FairQueuePool
from poolproof.drivers.postgresql import configuration
from poolproof.health.liveness import monitor_liveness
from poolproof.settings import PoolSettings
from tests.unit.poolproof.core import test_pool_contract

for name, member in vars(test_pool_contract).items():
    if name.startswith("test_") and "engine" in inspect.signature(member).parameters:
        globals()[name] = member


@pytest.fixture(params=[False, True], ids=["adopted", "owned"])
def engine(request: pytest.FixtureRequest, postgresql_url: URL) -> Iterator[Engine]:
    settings = PoolSettings()
    engine = create_engine(postgresql_url, poolclass=FairQueuePool, pool_size=2, max_overflow=1, pool_timeout=0.2)
    monitor_liveness(engine, settings, configuration.read_idle_timeout)
    configuration.configure(engine, settings, owns_session=request.param)
    yield engine
    engine.dispose()
