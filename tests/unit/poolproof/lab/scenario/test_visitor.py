"""A visit, against an application that is served."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

from poolproof.lab.scenario.address import Address
from poolproof.lab.scenario.description import Scenario, load_scenario
from poolproof.lab.scenario.visitor import NO_VALUE, RequestSample, Visitor
from tests.apps.stdlib_app import Shop
from tests.support.event_loop import run_coroutine
from tests.unit.poolproof.lab.scenario.shop import SCENARIO, serve_shop


def visit(scenario: Scenario, address: Address, number: int) -> list[RequestSample]:
    async def run() -> list[RequestSample]:
        samples: list[RequestSample] = []
        visitor = Visitor(scenario, address)
        await visitor.visit(scenario.visit[number], random.Random(1), time.monotonic(), samples)
        visitor.close()
        return samples

    return run_coroutine(run())


def scenario_of(folder: Path, old: str = "", new: str = "") -> Scenario:
    (folder / "shop.toml").write_text(SCENARIO.replace(old, new) if old else SCENARIO)
    return load_scenario(folder / "shop.toml")


def results(samples: list[RequestSample]) -> list[tuple[str, bool]]:
    return [(sample.result, sample.is_right) for sample in samples]


def test_a_visit_signs_in_with_a_cookie_and_passes_values_on(tmp_path: Path) -> None:
    Shop.orders.clear()
    with serve_shop(tmp_path) as address:
        samples = visit(scenario_of(tmp_path), address, 1)
    assert results(samples) == [("200", True), ("303", True), ("200", True), ("201", True)]
    (order,) = Shop.orders.values()
    assert order.startswith('{"item":7,"note":"it\'s \\u20ac5, from page ')
    assert samples[0].request == "GET /"


def test_what_is_not_expected_fails_and_ends_the_visit(tmp_path: Path) -> None:
    with serve_shop(tmp_path) as address:
        assert results(visit(scenario_of(tmp_path, 'name = "ada", csrf', 'name = "eve", csrf'), address, 1)) == [
            ("200", True),
            ("403", False),
        ]
        missing = scenario_of(tmp_path, "items.0.id", "items.0.price")
        assert results(visit(missing, address, 1))[-1] == (NO_VALUE, False)


def test_a_server_that_is_not_there_is_a_sample_that_failed(tmp_path: Path) -> None:
    samples: Any = visit(scenario_of(tmp_path), Address("http", "127.0.0.1", 1), 0)
    assert results(samples) == [("no connection", False)]
