from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.support.narrowing import not_none
from webapp.collector.sources.base import MAX_ORIGINAL_LENGTH, FetchError, SourceResponse, compact_json


def wait_of(value: str) -> float | None:
    return SourceResponse(429, {"retry-after": value}, b"").retry_after


def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    soon = datetime.now(UTC) + timedelta(seconds=90)
    assert wait_of(" 17 ") == 17.0
    assert 80 < not_none(wait_of(format_datetime(soon, usegmt=True))) <= 90
    assert 80 < not_none(wait_of(format_datetime(soon.replace(tzinfo=None)))) <= 90
    assert wait_of("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


@pytest.mark.parametrize("value", ["", "soon", "-5", "1.5", "Mon, 99 Oct 2015 07:28:00 GMT", "²"])
def test_a_retry_after_that_says_nothing_is_none(value: str) -> None:
    assert wait_of(value) is None
    assert SourceResponse(429, {}, b"").retry_after is None


def test_a_wait_is_never_endless() -> None:
    assert wait_of("9" * 400) == 999_999_999.0


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a":', b"\xff", b"[" * 100_000])
def test_what_is_no_json_may_be_worth_another_try(body: bytes) -> None:
    with pytest.raises(FetchError, match="HTTP 200 with no JSON") as error:
        SourceResponse(200, {}, body).json()
    assert error.value.transient


def test_the_original_is_bounded_and_can_be_stored() -> None:
    assert compact_json({"é": [1, "\x00"]}) == '{"é":[1,"\\u0000"]}'
    assert len(compact_json(["x" * 30_000])) == MAX_ORIGINAL_LENGTH
    assert json.loads(compact_json("\ud800").encode()) == "\ud800"
