from __future__ import annotations

import pytest
from marshmallow import ValidationError

from webapp.web.rest.fields import TextField, TimeField, visible
from webapp.web.rest.openapi import BaseSchema


class Named(BaseSchema):
    name = TextField(validate=visible)
    at = TimeField()


@pytest.mark.parametrize("name", ["bell\x07", "nul\x00", "half \ud800"])
def test_text_that_cannot_be_stored_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="cannot be stored"):
        Named().load({"name": name})


def test_text_that_cannot_be_seen_is_refused() -> None:
    with pytest.raises(ValidationError, match="can be seen"):
        Named().load({"name": "\u200b"})


@pytest.mark.parametrize(
    "at",
    [
        "0001-01-01T00:00:00+14:00",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59-14:00",
        "9000-01-01T00:00:01Z",
        "2016-12-31T23:59:60Z",
        "2026-01-01T00:00:00",
    ],
)
def test_a_time_at_the_edge_of_what_can_be_stored_is_refused(at: str) -> None:
    with pytest.raises(ValidationError):
        Named().load({"at": at})


def test_a_time_with_its_zone_becomes_one_in_utc() -> None:
    assert Named().load({"at": "2026-01-01T01:00:00+14:00"})["at"].isoformat() == "2025-12-31T11:00:00+00:00"
