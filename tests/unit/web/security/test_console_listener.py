from __future__ import annotations

import pytest

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
