"""All drills, in the order in which they are held."""

from __future__ import annotations

from webapp.lab.drill import Drill
from webapp.lab.drills import crowding, failover, losses, silence, workers

DRILLS: dict[str, Drill] = {
    drill.name: drill
    for family in (losses, silence, failover, crowding, workers)
    for drill in family.DRILLS
}  # fmt: skip
