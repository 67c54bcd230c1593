from __future__ import annotations

from poolproof.lab.loadgen.load_profile import TimedOperation
from poolproof.lab.sizing.workload_bench import pool_wait_share


def test_the_share_of_waiting_is_that_of_what_succeeded() -> None:
    operations = [TimedOperation(0.0, 2.0, wait=1.0), TimedOperation(0.0, 9.0, wait=9.0, succeeded=False)]
    assert pool_wait_share(operations) == 0.5
    assert pool_wait_share([]) is None
