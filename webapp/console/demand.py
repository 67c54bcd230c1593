"""How many connections are needed: measured live, by Little's law. Pure.

J. D. C. Little, "A Proof for the Queuing Formula L = λW" (1961): on average as many connections are
busy as are borrowed in a second, times the seconds that each is held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from webapp.console.fleet_view import ProcessView
from webapp.console.history import Minute


@dataclass(frozen=True)
class Demand:
    """What the fleet needs, over the last minute; `open_most` is of the last hour, None where that is not known."""

    rate: float = 0.0
    """Borrows a second."""
    busy: float = 0.0
    """Connections that are busy, in the mean; those that are still out are among them."""
    open_most: int | None = None
    rejected: int = 0
    """In the last hour."""

    @property
    def mean_use_time(self) -> float:
        """Seconds that each lasts, in the mean; 0.0 where none was borrowed."""
        return self.busy / self.rate if self.rate else 0.0


def measure_demand(processes: Sequence[ProcessView], hour: Sequence[Minute]) -> Demand:
    """Return what is needed, from what the processes of this machine say and from its last hour."""
    spent = [one.recent_usage for one in processes if one.recent_usage]
    rate = sum(one["borrows"] / one["seconds"] for one in spent)
    busy = sum(one["busy"] / one["seconds"] for one in spent)
    return Demand(
        rate,
        busy,
        max((minute.open_most for minute in hour), default=None),
        sum(minute.rejected for minute in hour),
    )
