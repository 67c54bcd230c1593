"""Fields of schemas that take what every database can hold, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from marshmallow import ValidationError, fields

from webapp.web.validators import INVISIBLE, is_storable, is_visible

MIN_TIME, MAX_TIME = datetime(1000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""MySQL's DATETIME begins here; after the end a window's length can still be added, in any time zone."""

STORABLE_PATTERN = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$"
"""Line breaks and tabs are the only control characters. A pattern cannot speak of surrogates."""


class TextField(fields.String):
    """A string that every database can hold: no control characters, no surrogates."""

    def __init__(self, *, metadata: Mapping[str, Any] | None = None, **options: Any) -> None:
        """Make a field whose schema says the same."""
        super().__init__(metadata={"pattern": STORABLE_PATTERN, **(metadata or {})}, **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if not is_storable(text):
            raise ValidationError("Contains a character that cannot be stored.")
        return text


class TimeField(fields.AwareDateTime):
    """A time with its zone, which becomes a time in UTC that every database can hold."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        try:
            time: datetime = super()._deserialize(value, attr, data, **kwargs).astimezone(UTC)
        except OverflowError:
            # Before year 1 or after year 9999, in UTC.
            time = datetime.min.replace(tzinfo=UTC)
        if not MIN_TIME <= time <= MAX_TIME:
            raise ValidationError(f"Has to lie between {MIN_TIME:%Y-%m-%d} and {MAX_TIME:%Y-%m-%d}.")
        return time


def visible(text: str) -> None:
    """Refuse, as a validator of a field, text of which nothing can be seen.

    Raises:
        ValidationError: for such a text.
    """
    if not is_visible(text):
        raise ValidationError(INVISIBLE)
