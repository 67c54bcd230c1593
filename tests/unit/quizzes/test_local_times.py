from __future__ import annotations

from datetime import UTC, datetime

import pytest

from webapp.quizzes.local_times import NoSuchTimeError, known_zone, resolve_local, to_local, zone_names

BERLIN = "Europe/Berlin"


def local(*parts: int) -> datetime:
    """What a form sends: a time without a zone."""
    return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001


def test_a_time_is_that_of_clocks_in_its_zone() -> None:
    assert resolve_local(local(2031, 1, 2, 9, 30), "Asia/Seoul").utc == datetime(2031, 1, 2, 0, 30, tzinfo=UTC)
    assert resolve_local(local(2030, 7, 1, 12), BERLIN).utc == datetime(2030, 7, 1, 10, tzinfo=UTC)
    assert resolve_local(local(2030, 1, 1, 12), BERLIN).utc == datetime(2030, 1, 1, 11, tzinfo=UTC)
    assert resolve_local(local(2030, 1, 1, 12), "UTC").utc == datetime(2030, 1, 1, 12, tzinfo=UTC)


def test_a_time_that_the_clocks_jump_over_is_none() -> None:
    with pytest.raises(NoSuchTimeError) as told:
        resolve_local(local(2030, 3, 31, 2, 30), BERLIN)
    assert told.value.next_time == local(2030, 3, 31, 3, 30)


def test_of_a_time_that_comes_twice_the_first_is_taken_and_that_is_known() -> None:
    moment = resolve_local(local(2030, 10, 27, 2, 30), BERLIN)
    assert (moment.utc, moment.comes_twice) == (datetime(2030, 10, 27, 0, 30, tzinfo=UTC), True)
    assert not resolve_local(local(2030, 10, 27, 3, 30), BERLIN).comes_twice


def test_every_moment_is_shown_as_a_time_that_leads_back_to_it() -> None:
    for hour in range(24):
        moment = datetime(2030, 3, 31, hour, 17, tzinfo=UTC)
        assert resolve_local(to_local(moment, "America/New_York"), "America/New_York").utc == moment


def test_only_names_of_the_list_are_time_zones() -> None:
    assert zone_names()[0] == "UTC"
    assert {BERLIN, "Asia/Seoul", "America/New_York"} <= set(zone_names())
    for name in ("../../etc/passwd", "", None, "posixrules", "Mars/Olympus"):
        assert known_zone(name) == "UTC"


def test_a_time_at_the_end_of_the_calendar_is_refused() -> None:
    with pytest.raises(OverflowError):
        resolve_local(local(1, 1, 1), "Asia/Seoul")
