"""A scenario is checked before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from poolproof.lab.scenario.description import Scenario, ScenarioError, load_scenario
from tests.unit.poolproof.lab.scenario.shop import SCENARIO


def load(folder: Path, written: str) -> Scenario:
    (folder / "shop.toml").write_text(written)
    return load_scenario(folder / "shop.toml")


def test_a_scenario_is_read(tmp_path: Path) -> None:
    scenario = load(tmp_path, SCENARIO)
    assert [visit.name for visit in scenario.visit] == ["look", "buy"]
    assert scenario.requests_per_visit == 3
    thinking = load(tmp_path, SCENARIO.replace("users = 3", "rate = 5\nthink = [1, 2]"))
    assert (thinking.think, thinking.without_think_times().think) == ((1, 2), None)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("users = 3", "", "give users or rate, one of them"),
        ("users = 3", "users = 3\nrate = 5", "give users or rate, one of them"),
        ("users = 3", "users = 5000", "shop.toml: users: Input should be less than or equal to 4000."),
        ("seconds = 0.6", "seconds = 0.6\nramp = 2", "the ramp of 2 s is longer than all of it"),
        ("seconds = 0.6", "seconds = 0.6\nthink = [2, 1]", "the shorter one first"),
        ("X-Client", "Host", "the header host is set by the client itself"),
        ('"lab"', '"lab\\r\\nX: y"', "headers.X-Client"),
        ('path = "/sign-in"', 'path = "sign-in"', "visit.2.request.2.path"),
        ("${csrf}", "${token}", "visit 2, request 2 has ${token}, which is neither in values nor taken"),
        ("expect = [303]", "expect = [900]", "visit.2.request.2.expect.1"),
        ('form = { name = "ada"', 'json = 1\nform = { name = "ada"', "json or form, not both"),
        ('method = "POST"\npath = "/sign-in"', 'path = "/sign-in"', "a GET has no body"),
        ('value="([^"]+)"', 'value="[^"]+"', "has 0 groups, and not one"),
        ('value="([^"]+)"', 'value="([^"]+"', "is no regular expression"),
        ('json = "items.0.id"', 'json = "x", header = "y"', "exactly one of json, header, pattern"),
        ('title = "A shop"', "title =", "is not TOML"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert old in SCENARIO
    with pytest.raises(ScenarioError) as refused:
        load(tmp_path, SCENARIO.replace(old, new))
    assert sentence in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"missing.toml: No such file"):
        load_scenario(tmp_path / "missing.toml")
