"""What libpq is called with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, make_url, text

from poolproof.drivers.postgresql.connect_args import connect_args
from poolproof.settings import PoolSettings
from tests.support.postgresql import engine_on

LOCAL, REMOTE = make_url("postgresql+psycopg://app@127.0.0.1/app"), make_url("postgresql+psycopg://app@db.example/app")


def test_a_connect_is_bounded_in_whole_seconds_and_never_less_than_libpq_takes() -> None:
    assert connect_args(PoolSettings(connect_timeout=0.3), LOCAL)["connect_timeout"] == 2
    assert connect_args(PoolSettings(connect_timeout=4.2), LOCAL)["connect_timeout"] == 5


@pytest.mark.parametrize(
    ("url", "settings", "expected"),
    [
        (LOCAL, {}, {"sslmode": "disable"}),
        (REMOTE, {}, {"sslmode": "require"}),
        (REMOTE, {"tls": "off"}, {"sslmode": "disable"}),
        (LOCAL, {"tls": "required"}, {"sslmode": "require"}),
        (REMOTE, {"tls_ca": Path(__file__)}, {"sslmode": "verify-ca", "sslrootcert": __file__}),
        (REMOTE.update_query_dict({"sslmode": "verify-full"}), {}, {}),
    ],
)
def test_tls_is_decided_as_for_mysql_unless_the_url_says_otherwise(
    url: URL, settings: dict[str, Any], expected: dict[str, str]
) -> None:
    arguments = connect_args(PoolSettings(**settings), url)
    assert {name: value for name, value in arguments.items() if name.startswith("ssl")} == expected


def test_a_session_is_utc_strict_and_bounded_and_what_the_url_says_goes_before(postgresql_url: URL) -> None:
    url = postgresql_url.update_query_dict({"options": "-c lock_timeout=7s"})
    names = ("TimeZone", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "DateStyle",
             "default_transaction_isolation")  # fmt: skip
    with engine_on(url, statement_timeout=3, request_deadline=30) as engine, engine.connect() as connection:
        values = [connection.execute(text(f"SHOW {name}")).scalar_one() for name in names]
    assert values == ["UTC", "3s", "7s", "30s", "ISO, MDY", "read committed"]


def test_reset_brings_back_the_pools_values_and_not_the_servers(postgresql_url: URL) -> None:
    with engine_on(postgresql_url) as engine, engine.connect() as connection:
        connection.execute(text("SET TIME ZONE 'Asia/Tokyo'"))
        connection.execute(text("RESET ALL"))
        assert connection.execute(text("SHOW TimeZone")).scalar_one() == "UTC"
