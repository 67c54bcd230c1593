"""What text must be to be stored or read as a number: control characters, half characters, digits."""

from __future__ import annotations

import unicodedata

from wtforms import Field, Form
from wtforms.validators import ValidationError

MAX_ID_DIGITS = 18
"""A number of so many digits fits every id column."""


def is_storable(text: str) -> bool:
    """Say whether every database can hold the text: no control characters but line breaks and tabs, no surrogates."""
    return not any(unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\r\t" for char in text)


def validate_storable(form: Form, field: Field) -> None:
    """Refuse, as a validator of a form's field, text for which `is_storable` is false."""
    if field.data and not is_storable(field.data):
        raise ValidationError("Contains a character that cannot be stored.")


def is_decimal(text: str, max_digits: int) -> bool:
    """Say whether the text is a number of 1 to `max_digits` ASCII digits; `int` and `isdecimal` take others, too."""
    return text.isascii() and text.isdecimal() and len(text) <= max_digits


def is_id(text: str) -> bool:
    """Say whether the text is an id that a row may have."""
    return is_decimal(text, MAX_ID_DIGITS)
