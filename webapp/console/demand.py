"""The demand of this machine's fleet, from what its processes report and from its last hour. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from poolproof.capacity import advice
from poolproof.capacity.advice import Demand, Usage
from webapp.console.fleet_view import ProcessView
from webapp.console.history import Minute


def measure_demand(processes: Sequence[ProcessView], hour: Sequence[Minute]) -> Demand:
    """Return the demand of processes, with the peak of the minutes in `hour` and what was rejected in them."""
    usages = [process.recent_usage for process in processes if process.recent_usage]
    return advice.measure_demand(
        (Usage(usage["borrows"], usage["busy"], usage["seconds"]) for usage in usages),
        max((minute.open_most for minute in hour), default=None),
        sum(minute.rejected for minute in hour),
    )
