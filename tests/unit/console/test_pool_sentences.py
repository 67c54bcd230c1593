from __future__ import annotations

import pytest

from poolproof.capacity.advice import Demand, check_demand
from poolproof.capacity.budget import FleetSize, compute_budget
from poolproof.settings import PoolSettings
from webapp.console.pool_sentences import budget_sentence, demand_sentence


@pytest.mark.parametrize("fleet", [FleetSize(2, 8), FleetSize(1, 4, has_writer=False), FleetSize(3, 16, 2)])
def test_the_budget_is_the_sum_that_the_doctor_prints(fleet: FleetSize) -> None:
    need = compute_budget(fleet, PoolSettings())
    assert budget_sentence(need) == str(need)


@pytest.mark.parametrize("demand", [Demand(), Demand(rate=40.26, busy=3.24)])
def test_the_demand_is_what_the_doctor_says(demand: Demand) -> None:
    sentence = check_demand(demand, 16).sentence
    assert demand_sentence(demand, 16, sentence) == sentence
