from __future__ import annotations

import random
from typing import Any

import pytest
from pydantic import ValidationError

from poolproof.lab.values import Generator, draw_all


def test_values_lie_between_their_bounds_and_repeat_with_the_seed() -> None:
    generators = {
        "row": Generator(integer=(5, 7)),
        "price": Generator(number=(0.5, 1.5)),
        "name": Generator(choice=("ada", "grace")),
        "word": Generator(text=8),
    }
    drawn = [draw_all(generators, random.Random(seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(5 <= values["row"] <= 7 and 0.5 <= values["price"] <= 1.5 for values in drawn)  # type: ignore[operator]
    assert {len(str(values["word"])) for values in drawn} == {8}


def test_keys_do_not_repeat_with_the_seed() -> None:
    keys = [Generator(unique=True).draw(random.Random(1)) for _ in range(100)]
    assert len(set(keys)) == 100
    assert max(map(int, keys)) < 2**62
    assert Generator(uuid=True).draw(random.Random(1)) != Generator(uuid=True).draw(random.Random(1))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "exactly one of"),
        ({"integer": (1, 2), "text": 3}, "exactly one of"),
        ({"integer": (3, 2)}, "3 is more than 2"),
        ({"integer": (1, 2**70)}, "at most"),
        ({"choice": ()}, "at least 1 item"),
        ({"text": 0}, "greater than or equal to 1"),
        ({"pick": 1}, "Extra inputs"),
    ],
)
def test_what_is_no_way_to_draw_a_value_is_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Generator(**given)
