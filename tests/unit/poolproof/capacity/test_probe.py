from __future__ import annotations

import time

from sqlalchemy import create_engine, make_url

from poolproof.capacity.server_info import Probe
from poolproof.engine import configure_engine, engine_options
from poolproof.integrations.flask_ext import PoolingState
from poolproof.lanes import CONSOLE_TIMEOUT, console_settings
from poolproof.settings import PoolSettings


def test_a_database_that_answers_is_no_trouble(pooling: PoolingState) -> None:
    assert pooling.probe.check() is None


def test_a_server_that_is_not_there_is_told_within_a_second() -> None:
    narrow = console_settings(PoolSettings())
    url = make_url("mysql+pymysql://root@127.0.0.1:1/nothing")
    engine = create_engine(url, **engine_options(narrow, url, threads=1))
    configure_engine(engine, narrow)
    began = time.monotonic()
    trouble = Probe(engine).check()
    assert time.monotonic() - began < CONSOLE_TIMEOUT
    assert trouble == "The database does not answer: OperationalError."
