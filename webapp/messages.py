"""Texts for people that can be said in another language where they are shown. Imports no HTTP library.

Rules write English. A sentence with values in it is made by `message`, so that a page can translate the sentence and
put the values in afterwards; a sentence without values is translated as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

ENGLISH_TIME = "%-d %b %Y at %H:%M:%S UTC"


class Message(str):
    """An English text, with the template and the values that it was made of; in all else it is a `str`."""

    __slots__ = ("template", "values")

    template: str
    values: dict[str, Any]


def message(template: str, **values: object) -> Message:
    """Return the text of a template such as "Item %(item)s is gone."; a value may be a message itself, or a time.

    A text without values is no template: a percent sign in it stands for itself.
    """
    text = Message(_fill_in(template, values, str, ENGLISH_TIME))
    text.template, text.values = template, values
    return text


def join_messages(*parts: str) -> Message:
    """Return sentences one after the other, as one text whose parts are translated each for itself."""
    named = {
        f"part{number}": part if isinstance(part, Message) else message(part)
        for number, part in enumerate(filter(None, parts))
    }
    template = " ".join(f"%({name})s" for name in named)
    return message(template, **named)


def translate_message(text: str, gettext: Callable[[str], str], time_format: str) -> str:
    """Return a text in the language of `gettext`, which translates templates; as it is where it has no translation.

    Times in it are written in UTC as `time_format` says.
    """
    if not isinstance(text, Message):
        return gettext(text) if text else ""
    return _fill_in(
        gettext(text.template) if text.template else "",
        text.values,
        lambda value: translate_message(value, gettext, time_format),
        time_format,
    )


def _fill_in(template: str, values: dict[str, Any], say: Callable[[Message], str], time_format: str) -> str:
    if not values:
        return template
    texts = {}
    for name, value in values.items():
        if isinstance(value, Message):
            texts[name] = say(value)
        elif isinstance(value, datetime):
            texts[name] = value.astimezone(UTC).strftime(time_format)
        else:
            texts[name] = value
    return template % texts
