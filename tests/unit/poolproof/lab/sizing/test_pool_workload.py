from __future__ import annotations

from poolproof.lab.sizing.pool_workload import WorkloadProcess
from poolproof.lab.sizing.workload import Operation, Workload
from poolproof.settings import PoolSettings
from tests.support.migration_starts import NewSchema
from webapp.lab.services.programs import Flavour


def test_tables_may_take_longer_to_fill_than_a_request_may_take(server_flavour: Flavour, new_schema: NewSchema) -> None:
    workload = Workload(
        title="slow",
        setup=("CREATE TABLE slept SELECT SLEEP(2) AS slept",),
        operation=(Operation(statements=("SELECT 1",)),),
    )
    settings = PoolSettings(read_timeout=1.0, statement_timeout=0.9, write_timeout=1.0)
    # Raises when the tables cannot be made.
    WorkloadProcess(new_schema(server_flavour, "poolproof_workload"), workload, settings).close()
