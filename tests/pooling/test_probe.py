from __future__ import annotations

import time

from sqlalchemy import create_engine, make_url

from webapp.pooling.engine import engine_options, prepare_engine
from webapp.pooling.extension import Pooling
from webapp.pooling.lanes import CONSOLE_ANSWERS_WITHIN, console_settings
from webapp.pooling.probe import Probe
from webapp.pooling.settings import PoolSettings


def test_a_database_that_answers_is_no_trouble(pooling: Pooling) -> None:
    assert pooling.probe.trouble() is None


def test_a_server_that_is_not_there_is_told_within_a_second() -> None:
    narrow = console_settings(PoolSettings.model_validate({}))
    url = make_url("mysql+pymysql://root@127.0.0.1:1/nothing")
    engine = create_engine(url, **engine_options(narrow, url, threads=1))
    prepare_engine(engine, narrow)
    began = time.monotonic()
    trouble = Probe(engine).trouble()
    assert time.monotonic() - began < CONSOLE_ANSWERS_WITHIN
    assert trouble == "The database does not answer: OperationalError."
