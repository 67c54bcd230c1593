"""An adopted application behind PgBouncer in transaction mode: nothing is said to it about that."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.apps.checks import Open, check_full_pool, check_leaks, check_pools, check_session, opened, press
from webapp.lab.services.pgbouncer import start_pgbouncer
from webapp.lab.services.postgresql_server import PostgresqlServer

ROLE, NAME = "sample_role", "core_session"


@pytest.fixture
def open_sample(postgresql: PostgresqlServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    postgresql.create_database(ROLE, owner=ROLE)
    folder = tmp_path_factory.mktemp("pgbouncer") / "sample"
    bouncer = start_pgbouncer(postgresql, folder, ROLE, {"default_pool_size": "4"})
    # psycopg2 prepares no statements by itself, which PgBouncer would have to know.
    url = bouncer.url(ROLE, ROLE, "psycopg2")
    with opened(url, url) as make:
        yield make
    bouncer.stop()


def test_it_fails_with_the_stock_pool_and_with_its_lines_all_is_as_elsewhere(
    open_sample: Open, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.CRITICAL):
        stock, ours = (press(open_sample(NAME, adopted=adopted)) for adopted in (False, True))
    assert stock.failed > 0
    assert (ours.failed, ours.is_even()) == (0, True)
    check_session(open_sample, NAME)
    sample = open_sample(NAME, adopted=True)
    check_leaks(sample, NAME, caplog)
    check_full_pool(sample)
    check_pools(sample)
