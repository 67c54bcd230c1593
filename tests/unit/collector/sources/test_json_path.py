from __future__ import annotations

from typing import Any

import pytest

from webapp.collector.sources.json_path import parse

BODY = {"data": {"results": [{"a": 1, "b": [{"t": "x"}, {"t": "y"}]}, {"a": None}]}, "0": "zero", "é-_$": "odd"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("data.results[0].a", 1),
        ("data.results[1].a", None),
        ("data.results[2].a", None),
        ("data.results.a", None),
        ("data[0]", None),
        ("0", "zero"),
        ("é-_$", "odd"),
        ("data.results[].a", [1, None]),
        ("data.results[0].b[].t", ["x", "y"]),
        ("data.results[].b[].t", [["x", "y"], None]),
        ("0[]", None),
    ],
)
def test_a_path_finds_what_stands_there(path: str, expected: Any) -> None:
    assert parse(path).find(BODY) == expected


def test_a_path_may_begin_with_a_list() -> None:
    assert parse("[]").find([1, 2]) == [1, 2]
    assert parse("[1].a").find([{}, {"a": 3}]) == 3


def test_one_thing_counts_as_a_list_of_one() -> None:
    assert parse("a").find_all({"a": 7}) == [7]
    assert parse("a").find_all({"a": [7, 8]}) == [7, 8]
    assert parse("a").find_all({}) == []


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "a b", "a[x]", "a[-1]", "a]", "[0]a", 5, None])
def test_what_is_no_path_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="is no path"):
        parse(text)
