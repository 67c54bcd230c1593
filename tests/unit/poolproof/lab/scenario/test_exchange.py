from __future__ import annotations

from typing import Any

import pytest

from poolproof.lab.loadgen.http_client import HttpResponse
from poolproof.lab.scenario.description import Request
from poolproof.lab.scenario.exchange import NotInResponseError, compose, take_values
from poolproof.lab.values import Value

VALUES: dict[str, Value] = {"id": 7, "name": "it's / & \r\nmore"}
RESPONSE = HttpResponse(200, {"location": "/orders/3"}, b'{"items": [{"id": 7}], "token": "abc"}')


def test_values_are_quoted_where_they_stand() -> None:
    request = Request(path="/a/${name}", headers={"X-Name": "${name}"}, method="POST", form={"name": "${name}"})
    message = compose(request, {"X-Client": "lab"}, VALUES)
    assert message.path == "/a/it%27s%20%2F%20%26%20%0D%0Amore"
    assert message.headers["X-Name"] == "it's / & more"
    assert message.headers["X-Client"] == "lab"
    assert message.content == b"name=it%27s+%2F+%26+%0D%0Amore"


def test_a_value_alone_keeps_its_type_in_json() -> None:
    request = Request.model_validate({"path": "/", "method": "PUT", "json": {"a": ["${id}", "no. ${id}"], "b": True}})
    message = compose(request, {}, VALUES)
    assert message.content == b'{"a":[7,"no. 7"],"b":true}'
    assert message.headers == {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("taken", "value"),
    [({"json": "items.0.id"}, 7), ({"header": "Location"}, "/orders/3"), ({"pattern": '"token": "(.*?)"'}, "abc")],
)
def test_values_are_taken_from_a_response(taken: dict[str, Any], value: Any) -> None:
    request = Request.model_validate({"path": "/", "take": {"it": taken}})
    assert take_values(request, RESPONSE) == {"it": value}


@pytest.mark.parametrize(
    ("taken", "sentence"),
    [
        ({"json": "items.5.id"}, "no items.5.id in the JSON for it"),
        ({"json": "items"}, "items is no text or number"),
        ({"header": "ETag"}, "no header ETag for it"),
        ({"pattern": "(nothing)"}, "no match"),
    ],
)
def test_a_value_that_is_not_there_is_named(taken: dict[str, Any], sentence: str) -> None:
    with pytest.raises(NotInResponseError, match=sentence):
        take_values(Request.model_validate({"path": "/", "take": {"it": taken}}), RESPONSE)
