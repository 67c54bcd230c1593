"""The pool of an engine, as the class that it has."""

from __future__ import annotations

from sqlalchemy import Engine
from sqlalchemy.pool import QueuePool


def queue_pool(engine: Engine) -> QueuePool:
    """Return the pool of an engine that has one which counts what is out and what is in."""
    assert isinstance(engine.pool, QueuePool), engine.pool
    return engine.pool
