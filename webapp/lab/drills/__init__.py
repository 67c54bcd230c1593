"""Drills: a fault under a small steady load, and a verdict by stated bounds. `DRILLS` has all, in their order."""

from __future__ import annotations

from webapp.lab.drills import connection_loss, exhaustion, failover, unresponsive_server, workers
from webapp.lab.drills.framework import Drill

DRILLS: dict[str, Drill] = {
    drill.name: drill
    for family in (connection_loss, unresponsive_server, failover, exhaustion, workers)
    for drill in family.DRILLS
}  # fmt: skip
