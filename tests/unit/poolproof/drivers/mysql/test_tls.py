"""Whether connections are encrypted, and by which context."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from poolproof.drivers.mysql import tls
from poolproof.errors import PoolConfigurationError
from poolproof.settings import PoolSettings

REMOTE = "mysql+pymysql://user@db.example.org/schema"


@pytest.mark.parametrize(
    ("mode", "url", "expected"),
    [
        ("auto", REMOTE, True),
        ("auto", "mysql+pymysql://user@127.0.0.1/schema", False),
        ("auto", "mysql+pymysql://user@localhost/schema", False),
        ("auto", f"{REMOTE}?unix_socket=/run/mysqld.sock", False),
        ("required", "mysql+pymysql://user@127.0.0.1/schema", True),
        ("off", REMOTE, False),
    ],
)
def test_auto_encrypts_what_leaves_the_machine(mode: Any, url: str, expected: bool) -> None:
    assert tls.is_enabled(PoolSettings(tls=mode), make_url(url)) is expected


def test_a_certificate_authority_asks_for_encryption_on_this_machine_too(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    assert tls.is_enabled(PoolSettings(tls_ca=authority), make_url("mysql+pymysql://user@127.0.0.1/schema"))


def test_all_connections_share_one_context_and_without_an_authority_it_trusts_any_server() -> None:
    context = tls.shared_ssl_context(None)
    assert tls.shared_ssl_context(None) is context
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


def test_a_file_without_a_certificate_is_named_with_what_to_do(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("no certificate")
    with pytest.raises(PoolConfigurationError, match=r"POOL_TLS_CA names .*/ca.pem.* Name a PEM file"):
        tls.shared_ssl_context(authority)
