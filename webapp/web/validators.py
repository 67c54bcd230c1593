"""What text must be to be stored, seen, or read as a number: control characters, half characters, blanks, digits."""

from __future__ import annotations

import unicodedata

from flask_babel import gettext
from wtforms import Field, Form
from wtforms.validators import ValidationError

from webapp.messages import message
from webapp.web.languages import translate

BLANK_CHARACTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0\U0001d159")
"""Letters and symbols by their category that show nothing: Hangul fillers, the empty Braille pattern, a null note."""
INVISIBLE = message("Give a name that can be seen.")
MAX_ID_DIGITS = 18
"""A number of so many digits fits every id column."""


def is_storable(text: str) -> bool:
    """Say whether every database can hold the text: no control characters but line breaks and tabs, no surrogates."""
    return not any(unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\r\t" for char in text)


def validate_storable(form: Form, field: Field) -> None:
    """Refuse, as a validator of a form's field, text for which `is_storable` is false."""
    if field.data and not is_storable(field.data):
        raise ValidationError(gettext("Contains a character that cannot be stored."))


def is_visible(text: str) -> bool:
    """Say whether something of the text can be seen: a letter, digit, punctuation mark or symbol that is not blank."""
    return any(unicodedata.category(char)[0] in "LNPS" and char not in BLANK_CHARACTERS for char in text)


def validate_visible(form: Form, field: Field) -> None:
    """Refuse, as a validator of a form's field, text of which nothing can be seen."""
    if field.data and not is_visible(field.data):
        raise ValidationError(translate(INVISIBLE))


def is_decimal(text: str, max_digits: int) -> bool:
    """Say whether the text is a number of 1 to `max_digits` ASCII digits; `int` and `isdecimal` take others, too."""
    return text.isascii() and text.isdecimal() and len(text) <= max_digits


def is_id(text: str) -> bool:
    """Say whether the text is an id that a row may have."""
    return is_decimal(text, MAX_ID_DIGITS)
