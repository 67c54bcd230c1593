from __future__ import annotations

import ssl

import pytest

from poolproof.lab.scenario.address import AddressError, parse_address


def test_an_address_has_scheme_host_port_and_prefix() -> None:
    address = parse_address("https://shop.example/app/")
    assert (address.host, address.port, address.prefix, str(address)) == (
        "shop.example",
        443,
        "/app",
        "https://shop.example/app",
    )
    assert str(parse_address("http://127.0.0.1:8000")) == "http://127.0.0.1:8000"
    assert parse_address("http://127.0.0.1:8000").is_local


def test_certificates_are_checked_unless_it_is_said_otherwise() -> None:
    address = parse_address("https://127.0.0.1")
    strict, lax = address.tls(), address.tls(verify=False)
    assert strict is not None
    assert lax is not None
    assert (strict.verify_mode, lax.verify_mode) == (ssl.CERT_REQUIRED, ssl.CERT_NONE)
    assert parse_address("http://127.0.0.1").tls() is None


@pytest.mark.parametrize(
    "text", ["127.0.0.1:8000", "ftp://x", "http://", "http://a:b@c", "http://x?y", "http://x:port"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        parse_address(text)
