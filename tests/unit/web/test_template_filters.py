from __future__ import annotations

from datetime import datetime, timedelta, timezone

from webapp.web.template_filters import format_datetime, format_iso_datetime

INDIA = timezone(timedelta(hours=5, minutes=30))


def test_a_moment_is_shown_in_utc_and_says_so() -> None:
    assert format_datetime(datetime(2026, 11, 2, 4, 0, tzinfo=INDIA)) == "1 Nov 2026, 22:30 UTC"
    assert format_iso_datetime(datetime(2026, 11, 2, 4, 0, tzinfo=INDIA)) == "2026-11-01T22:30:00+00:00"


def test_no_moment_is_no_text() -> None:
    assert (format_datetime(None), format_iso_datetime(None)) == ("", "")
