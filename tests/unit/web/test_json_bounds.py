from __future__ import annotations

import json

import pytest

from webapp.web.json_bounds import MAX_DEPTH, MAX_NUMBER_LENGTH, load_json


@pytest.mark.parametrize(
    "text",
    [
        "[" * 60_000,
        "[" * 60_000 + "]" * 60_000,
        '{"a":' * 60_000,
        '[{"a":' * (MAX_DEPTH // 2) + "[]" + "}]" * (MAX_DEPTH // 2),
        "1" * 5000,
        "-1." + "1" * 5000,
        '{"a": [' + "7" * (MAX_NUMBER_LENGTH + 1) + "]}",
        "NaN",
        "-Infinity",
        "",
        '"no end',
    ],
)
def test_json_without_bounds_is_no_json(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        load_json(text)


@pytest.mark.parametrize(
    "value",
    [
        {"stem": "[" * 100 + '\\"' + "1" * 100, "items": [[1, 2.5e3], None, True]},
        ["\\", '"' * 50, "]" * 50, "{"],
        int("9" * MAX_NUMBER_LENGTH),
    ],
)
def test_brackets_and_digits_in_texts_do_not_count(value: object) -> None:
    assert load_json(json.dumps(value)) == value


def test_as_many_levels_as_are_allowed_are_read() -> None:
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert load_json(text) == json.loads(text)
