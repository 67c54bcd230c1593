"""What a request of a scenario sends with the values of its visit, and what is taken from a response. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from poolproof.lab.loadgen.http_client import HttpResponse
from poolproof.lab.scenario.description import PLACEHOLDER, Request, Taken
from poolproof.lab.values import Value


class NotInResponseError(Exception):
    """A response does not have a value that a scenario takes from it."""


@dataclass(frozen=True)
class Message:
    """A request as it is sent; the headers do not have those that a client adds itself."""

    method: str
    path: str
    headers: Mapping[str, str]
    content: bytes


def compose(request: Request, headers: Mapping[str, str], values: Mapping[str, Value]) -> Message:
    """Return the request with its values; those in the path are quoted."""
    quoted = {name: quote(str(value), safe="") for name, value in values.items()}
    composed = {
        name: _fill(text, values).replace("\r", "").replace("\n", "")
        for name, text in {**headers, **request.headers}.items()
    }
    content = b""
    if request.json_body is not None:
        composed.setdefault("Content-Type", "application/json")
        content = json.dumps(_fill_body(request.json_body, values), separators=(",", ":")).encode()
    elif request.form is not None:
        composed.setdefault("Content-Type", "application/x-www-form-urlencoded")
        content = urlencode({name: _fill(text, values) for name, text in request.form.items()}).encode()
    return Message(request.method, _fill(request.path, quoted), composed, content)


def take_values(request: Request, response: HttpResponse) -> dict[str, Value]:
    """Return what the request takes from its response.

    Raises:
        NotInResponseError: when something is not there.
    """
    return {name: _find(name, taken, response) for name, taken in request.take.items()}


def _find(name: str, taken: Taken, response: HttpResponse) -> Value:
    if taken.header is not None:
        if (header := response.headers.get(taken.header.lower())) is None:
            raise NotInResponseError(f"no header {taken.header} for {name}")
        return header
    text = response.body.decode(errors="replace")
    if taken.pattern is not None:
        if (match := re.search(taken.pattern, text)) is None:
            raise NotInResponseError(f"no match of the pattern for {name}")
        return match.group(1) or ""
    try:
        found = _follow(json.loads(text), taken.json_path or "")
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise NotInResponseError(f"no {taken.json_path} in the JSON for {name}") from error
    if not isinstance(found, str | int | float | bool):
        raise NotInResponseError(f"{taken.json_path} is no text or number, for {name}")
    return found


def _follow(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def _fill(text: str, values: Mapping[str, Value]) -> str:
    return PLACEHOLDER.sub(lambda match: str(values[match.group(1)]), text)


def _fill_body(body: Any, values: Mapping[str, Value]) -> Any:
    """Fill every text of a JSON value; a text that is one value and nothing else keeps the value's type."""
    if isinstance(body, str):
        alone = PLACEHOLDER.fullmatch(body)
        return values[alone.group(1)] if alone else _fill(body, values)
    if isinstance(body, dict):
        return {name: _fill_body(value, values) for name, value in body.items()}
    if isinstance(body, list):
        return [_fill_body(value, values) for value in body]
    return body
