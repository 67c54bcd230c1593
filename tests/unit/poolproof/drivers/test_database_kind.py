"""Which part of the drivers serves an engine."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url

from poolproof.drivers.database_kind import DatabaseKind, get_database_kind


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("sqlite:///a.sqlite", DatabaseKind.SQLITE),
        ("mysql+pymysql://a/b", DatabaseKind.MYSQL),
        ("mariadb+pymysql://a/b", DatabaseKind.MYSQL),
        ("postgresql+psycopg://a/b", DatabaseKind.POSTGRESQL),
        ("postgresql+psycopg2://a/b", DatabaseKind.POSTGRESQL),
        ("postgresql://a/b", DatabaseKind.POSTGRESQL),
        ("postgresql+pg8000://a/b", DatabaseKind.OTHER),
        ("mysql+mysqldb://a/b", DatabaseKind.OTHER),
        ("oracle+oracledb://a/b", DatabaseKind.OTHER),
    ],
)
def test_an_address_has_one_kind(address: str, kind: DatabaseKind) -> None:
    url = make_url(address)
    assert get_database_kind(url.get_backend_name(), url.get_driver_name()) is kind
