"""One validator: what Flask's view takes, the fast path takes, and what one refuses, the other does."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError, fields
from marshmallow.validate import Length, Range

from webapp.web.rest.fields import TextField, visible
from webapp.web.rest.strict_schema import InvalidBodyError, StrictSchema


class ThingIn(StrictSchema):
    """A body of the test's own."""

    name = TextField(load_default="Nobody", validate=[Length(1, 5), visible])
    note = TextField(load_default=None, allow_none=True, validate=Length(max=3))
    places = fields.List(fields.Integer(strict=True, validate=Range(0, 9)), required=True, validate=Length(1, 3))


THING = ThingIn()


def loaded(body: Any) -> Any:
    with suppress(ValidationError):
        return THING.load(body)
    return None


def loaded_from_bytes(body: bytes) -> Any:
    with suppress(InvalidBodyError):
        return THING.validator.validate_json(body)
    return None


def test_defaults_are_filled_in_on_both_ways() -> None:
    expected = {"name": "Nobody", "note": None, "places": [3]}
    assert THING.load({"places": [3]}) == expected
    assert loaded_from_bytes(b'{"places": [3]}') == expected


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, ["places"]),
        ({"places": []}, ["places"]),
        ({"places": [1, 2, 3, 4]}, ["places"]),
        ({"places": [10]}, ["places", 0]),
        ({"places": [0, "1"]}, ["places", 1]),
        ({"places": [True]}, ["places", 0]),
        ({"places": [1.0]}, ["places", 0]),
        ({"places": [1], "more": 1}, ["more"]),
        ({"places": [1], "name": ""}, ["name"]),
        ({"places": [1], "name": "toolong"}, ["name"]),
        ({"places": [1], "name": "\u2800"}, ["name"]),
        ({"places": [1], "name": "bel\x07"}, ["name"]),
        ({"places": [1], "name": None}, ["name"]),
        ({"places": [1], "note": 7}, ["note"]),
        ([], ["_schema"]),
        (None, ["_schema"]),
    ],
)
def test_what_is_against_the_rules_is_refused_on_both_ways_and_the_place_is_named(body: Any, where: list[Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        THING.load(body)
    messages: Any = refused.value.messages
    for part in where:
        messages = messages[part]
    assert len(messages) == 1
    assert messages[0].endswith(".")
    assert loaded_from_bytes(json.dumps(body).encode()) is None


@pytest.mark.parametrize("body", [b"", b"{", b'{"places": [NaN]}', b'{"places": [1], "name": "\\ud800"}', b"\xff"])
def test_what_is_no_json_is_left_to_the_long_way(body: bytes) -> None:
    assert loaded_from_bytes(body) is None


values = st.none() | st.booleans() | st.integers(-2, 12) | st.floats(allow_nan=False) | st.text(max_size=6)
bodies = st.dictionaries(st.sampled_from(["name", "note", "places", "more"]), values | st.lists(values, max_size=4))


@given(bodies)
def test_any_body_is_the_same_to_both_ways(body: dict[str, Any]) -> None:
    assert loaded_from_bytes(json.dumps(body).encode()) == loaded(body)


def test_a_kind_of_field_that_cannot_be_compiled_is_not_taken_for_another() -> None:
    class FloatIn(StrictSchema):
        weight = fields.Float()

    with pytest.raises(TypeError, match="cannot be compiled"):
        FloatIn()
