from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from webapp.web.security.console_listener import matches_address


@pytest.mark.parametrize(
    ("name", "address"),
    [
        (("127.0.0.1", 8001), "127.0.0.1:8001"),
        (("127.0.0.1", 8001), "localhost:8001"),
        (("10.1.2.3", 8001), "0.0.0.0:8001"),
        (("::1", 8001, 0, 0), "[::1]:8001"),
    ],
)
def test_a_socket_at_the_consoles_address_is_its_door(name: object, address: str) -> None:
    assert matches_address(name, address)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        (("127.0.0.1", 8000), "127.0.0.1:8001"),
        (("10.1.2.3", 8001), "127.0.0.1:8001"),
        (("10.1.2.3", 18001), "0.0.0.0:8001"),
        ("/run/poolproof.sock", "127.0.0.1:8001"),
        (None, "127.0.0.1:8001"),
    ],
)
def test_any_other_is_not(name: object, address: str) -> None:
    assert not matches_address(name, address)


@pytest.fixture
def public_door(app: Flask, client: FlaskClient) -> Iterator[FlaskClient]:
    """A client of the public address, with CSRF as it is in earnest."""
    app.config["WTF_CSRF_ENABLED"] = True
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        at_the_door: dict[str, Any] = {"gunicorn.socket": listener}
        client.environ_base |= at_the_door
        yield client
    app.config["WTF_CSRF_ENABLED"] = False


def console_rules(app: Flask) -> list[str]:
    blueprints = {"console", "metrics", "pools"}
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.rpartition(".")[0] in blueprints]
    return sorted({rule.rule.replace("<", "").replace(">", "").replace("id:", "") for rule in rules})


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "INVENTED"])
def test_at_the_public_door_nothing_of_the_consoles_exists_whatever_is_sent(
    app: Flask, public_door: FlaskClient, author: dict[str, str], method: str
) -> None:
    rules = console_rules(app)
    assert {"/console", "/metrics", "/api/v1/pools"} < set(rules)
    for rule in rules:
        for headers in ({}, author, {"Content-Encoding": "gzip"}, {"Transfer-Encoding": "chunked"}):
            for body in (b"", b"csrf_token=x", b"x" * 2_000_000):
                answer = public_door.open(rule, method=method, data=body, headers=headers)
                nowhere = public_door.open("/api/nowhere" if "/api/" in rule else "/nowhere", method=method)
                assert answer.status_code == 404, (method, rule, headers, len(body))
                assert list(answer.headers.keys()) == list(nowhere.headers.keys())


def test_at_the_consoles_own_door_it_is_there(app: Flask, client: FlaskClient) -> None:
    assert {client.get(rule).status_code for rule in console_rules(app)} <= {200, 302, 401, 405}
