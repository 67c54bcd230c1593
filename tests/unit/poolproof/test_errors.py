"""The errors of the layer: one family for callers, and a text that an operator can act on."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeoutError

from poolproof import errors
from poolproof.core.queue_pool import FairQueuePool


@pytest.mark.parametrize("kind", [errors.PoolTimeoutError, errors.PoolShedError, errors.PoolQueueFullError])
def test_who_handles_sqlalchemys_timeout_handles_every_refusal(kind: type[Exception]) -> None:
    assert issubclass(kind, SQLAlchemyTimeoutError)


def test_a_wrong_setting_is_a_wrong_value() -> None:
    assert issubclass(errors.PoolConfigurationError, ValueError)


def test_the_text_has_the_pools_state_its_holders_and_what_to_do() -> None:
    pool = FairQueuePool(lambda: sqlite3.connect(":memory:"), pool_size=3)
    pool.describe_holders = lambda: "Held by: a page for 2.0 s."
    with pool.connect():
        message = errors.exhausted_message("none came back within 2.00 s", pool.limit(), pool)
    pool.dispose()
    assert message.startswith("QueuePool limit of 3 connections reached: none came back within 2.00 s. 1 are in use")
    assert "Held by: a page for 2.0 s. Hold connections shorter" in message
