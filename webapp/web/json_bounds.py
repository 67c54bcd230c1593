"""JSON of clients, bounded before it is parsed: the parser recurses into it, and converts numbers in quadratic time."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

MAX_DEPTH = 32
"""Arrays and objects in one another. No request of ours has more than four."""
MAX_NUMBER_LENGTH = 64
"""Characters of one number. An id has nineteen digits."""

# A string, to its end or to the end of the text; or one bracket; or more of a number than a number may have.
_TOKEN = re.compile(
    rf'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{{]|[\]}}]|[-+.\deE]{{{MAX_NUMBER_LENGTH + 1}}}', re.DOTALL | re.ASCII
)


def load_json(text: str) -> Any:
    """Parse JSON.

    Raises:
        json.JSONDecodeError: when it is none, nested too deeply, or has a number that is too long or none (`NaN`).
    """
    _check_bounds(text)
    return json.loads(text, parse_constant=_refuse_constant)


def _check_bounds(text: str) -> None:
    depth = 0
    for token in _TOKEN.finditer(text):
        first = token[0][0]
        if first in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise json.JSONDecodeError(
                    f"More than {MAX_DEPTH} arrays and objects in one another", text, token.start()
                )
        elif first in "]}":
            depth -= 1
        elif first != '"':
            raise json.JSONDecodeError(f"A number of more than {MAX_NUMBER_LENGTH} characters", text, token.start())


def _refuse_constant(name: str) -> NoReturn:
    raise json.JSONDecodeError(f"{name} is no number", name, 0)
