"""The settings of adopted engines, and what follows from a pool's own time-out."""

from __future__ import annotations

import pytest

from poolproof.adoption.settings import AdoptSettings
from poolproof.errors import PoolConfigurationError


@pytest.mark.parametrize(
    ("pool_timeout", "target"), [(1.0, 0.4), (30.0, 1.0), (None, 1.0), (0.5, 0.2)], ids=["1", "30", "ever", "0.5"]
)
def test_waits_are_shed_above_four_tenths_of_the_pools_own_time_out_or_a_second(
    pool_timeout: float | None, target: float
) -> None:
    shedding = AdoptSettings().shedding(pool_timeout)
    assert shedding is not None
    assert shedding.target == target


def test_a_target_of_zero_sheds_nothing() -> None:
    assert AdoptSettings(codel_target=0).shedding(1.0) is None


def test_a_value_out_of_range_is_refused_with_its_name() -> None:
    with pytest.raises(PoolConfigurationError, match="LEAK_THRESHOLD is -1"):
        AdoptSettings(leak_threshold=-1)
