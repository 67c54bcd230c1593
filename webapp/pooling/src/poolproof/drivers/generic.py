"""The plain fallback for a driver that has no part of its own here."""

from __future__ import annotations

import logging

from sqlalchemy import Engine

log = logging.getLogger(__name__)

_warned_drivers: set[str] = set()
"""The drivers of which the log has told in this process; changed by single steps."""


def configure(engine: Engine) -> None:
    """Say once for each driver what there is: order, deadlines, shedding, leak reports and metrics, and no more."""
    name = f"{engine.dialect.name}+{engine.dialect.driver}"
    if name in _warned_drivers:
        return
    _warned_drivers.add(name)
    log.warning(
        "%s has no part of its own in poolproof: its connections are lent in order, with deadlines, leak reports and "
        "metrics. Sessions, transactions and time-outs are as SQLAlchemy and the driver have them, idle connections "
        "are checked by SQLAlchemy's pre-ping, and a lost connection is recognised by SQLAlchemy alone.",
        name,
    )
