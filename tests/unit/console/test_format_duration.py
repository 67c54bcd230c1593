"""Durations in the unit that suits them."""

from __future__ import annotations

import pytest

from webapp.console.format_duration import format_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (2.0**-17, "8 µs"),
        (2.0**-7, "7.81 ms"),
        (0.25, "250 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (9.84, "9.8 s"),
        (12.3, "12 s"),
        (840, "14 min"),
        (10_800, "3 h"),
        (345_600, "4 days"),
    ],
)
def test_a_duration_has_the_unit_that_suits_it(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
