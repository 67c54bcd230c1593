from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import URL, Connection, text

from poolproof.core.queue_pool import FairQueuePool
from poolproof.lab.sizing.measured_engine import create_sampler_work, open_setup_work, open_work
from poolproof.settings import PoolSettings


@pytest.mark.parametrize("pool", [None, PoolSettings()])
def test_work_on_an_applications_engine_and_on_the_services_commits_and_rolls_back(
    pool: PoolSettings | None, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/app.sqlite"
    with open_setup_work(url, pool) as work, work.autocommit() as connection:
        connection.execute(text("CREATE TABLE notes (id INTEGER)"))

    def write(connection: Connection) -> None:
        connection.execute(text("INSERT INTO notes VALUES (1)"))

    with open_work(url, pool, 3) as work:
        assert isinstance(work.engine.pool, FairQueuePool)
        assert work.engine.pool.limit() == 3
        work.run_in_transaction(write)
        with work.read() as connection:
            assert connection.execute(text("SELECT COUNT(*) FROM notes")).scalar_one() == 1


def test_what_an_applications_read_changes_is_rolled_back(tmp_path: Path) -> None:
    with open_work(f"sqlite:///{tmp_path}/app.sqlite", None, 1) as work:
        with work.autocommit() as connection:
            connection.execute(text("CREATE TABLE notes (id INTEGER)"))
        with work.read() as connection:
            connection.execute(text("INSERT INTO notes VALUES (1)"))
        with work.read() as connection:
            assert connection.execute(text("SELECT COUNT(*) FROM notes")).scalar_one() == 0


def test_the_session_of_an_application_stays_as_it_is(postgresql_url: URL) -> None:
    url = postgresql_url.render_as_string(hide_password=False)
    stock = create_sampler_work(url, None)
    with stock.read() as connection:
        assert connection.execute(text("SHOW statement_timeout")).scalar_one() == "0"
    stock.engine.dispose()
