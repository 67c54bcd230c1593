"""Which servers are refused at every start, before anything is made in them."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url

from webapp.cli_errors import describe_error
from webapp.database_setup import UnsupportedServerError, check_version


def check(url: str, version: tuple[int, ...]) -> None:
    dialect = make_url(url).get_dialect()()
    dialect.server_version_info = version
    check_version(dialect)


@pytest.mark.parametrize(
    ("url", "version", "sentence"),
    [
        ("mysql+pymysql://", (5, 7, 44), "The server is MySQL 5.7.44; Poolproof needs MySQL 8.0.4 or newer."),
        ("mariadb+pymysql://", (10, 5, 29), "The server is MariaDB 10.5.29; Poolproof needs MariaDB 10.6.0 or newer."),
    ],
)
def test_a_server_without_json_tables_is_refused_in_one_sentence(
    url: str, version: tuple[int, ...], sentence: str
) -> None:
    with pytest.raises(UnsupportedServerError) as refused:
        check(url, version)
    assert (describe_error(refused.value) or "").startswith(sentence)


@pytest.mark.parametrize(
    ("url", "version"),
    [
        ("mysql+pymysql://", (8, 0, 4)),
        ("mysql+pymysql://", (9, 7, 4)),
        ("mariadb+pymysql://", (10, 6, 0)),
        ("sqlite://", (3, 40, 1)),
    ],
)
def test_newer_ones_are_taken(url: str, version: tuple[int, ...]) -> None:
    check(url, version)
