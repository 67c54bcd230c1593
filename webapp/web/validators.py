"""Text that every database can hold and every page can show."""

from __future__ import annotations

import unicodedata

from wtforms import Field, Form
from wtforms.validators import ValidationError


def is_storable(text: str) -> bool:
    """Say whether the text has no control characters (but line breaks and tabs) and no half characters."""
    return not any(unicodedata.category(one) in {"Cc", "Cs"} and one not in "\n\r\t" for one in text)


def validate_storable(form: Form, field: Field) -> None:
    """Refuse, as a validator of a form's field, what `is_storable` does not hold for."""
    if field.data and not is_storable(field.data):
        raise ValidationError("Contains a character that cannot be stored.")
