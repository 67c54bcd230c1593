"""The last minutes of a process, second by second, and its last whole minute; made from what it counts anyway."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from poolproof.runtime.files import JsonObject

WINDOW_SECONDS = 120
"""How far the strip reaches back."""
MINUTE_SECONDS = 60.0
INTERACTIVE_LANE = "interactive"
EMPTY_COUNTERS: JsonObject = {"borrows": 0, "uses": {"total": 0.0}, "waits": {"total": 0.0}}

COLUMNS = ("used", "idle", "waiting", "oldest", "turned_away", "requests")
"""What each second of the strip says; the last two are how many in that second."""


@dataclass(frozen=True)
class _Totals:
    """Counters at one moment: of the lane that requests use, and of all what was turned away."""

    at: float
    borrows: int
    busy: float
    waited: float
    turned_away: int
    requests: int
    statements: int
    batches: int
    entries: int

    @classmethod
    def from_counters(cls, counters: JsonObject, held_seconds: float, at: float) -> _Totals:
        """Sum up; `held` is for how long what is out just now has been held: between two moments it is busy, too."""
        lanes, commits = counters.get("lanes", {}), counters.get("commits", {}).values()
        requests = lanes.get(INTERACTIVE_LANE, EMPTY_COUNTERS)
        return cls(
            at,
            borrows=requests["borrows"],
            busy=requests["uses"]["total"] + held_seconds,
            waited=requests["waits"]["total"],
            turned_away=sum(one["timeouts"] + one["shed"] + one["refused"] for one in lanes.values()),
            requests=counters.get("requests", {}).get("count", 0),
            statements=counters.get("requests", {}).get("statements", 0),
            batches=sum(sum(one["batches"]) for one in commits),
            entries=sum(one["entries"] for one in commits),
        )


class RecentTimeline:
    """Remembers a process's seconds and minutes."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._rows: deque[list[float]] = deque(maxlen=WINDOW_SECONDS)
        self._recent_totals: deque[_Totals] = deque(maxlen=int(MINUTE_SECONDS))
        self._second: _Totals | None = None
        self._minute: _Totals | None = None
        self._peaks = dict.fromkeys(("used", "open", "waiting", "oldest"), 0.0)
        self._last_minute: JsonObject | None = None

    def record(self, lanes: dict[str, JsonObject], counters: JsonObject) -> None:
        """Look at a process's present state; some times a second."""
        now = time.monotonic()
        sums = _Totals.from_counters(counters, lanes.get(INTERACTIVE_LANE, {}).get("held", 0.0), now)
        used = sum(one["used"] for one in lanes.values())
        idle = sum(one["idle"] for one in lanes.values())
        waiting = sum(one["waiting"] for one in lanes.values())
        oldest = max((one["oldest"] for one in lanes.values()), default=0.0)
        for name, value in (("used", used), ("open", used + idle), ("waiting", waiting), ("oldest", oldest)):
            self._peaks[name] = max(self._peaks[name], value)
        if self._second is None or self._minute is None:
            self._second = self._minute = sums
        elif now - self._second.at >= 1.0:
            turned_away, requests = sums.turned_away - self._second.turned_away, sums.requests - self._second.requests
            self._rows.append([used, idle, waiting, oldest, turned_away, requests])
            self._second = sums
            self._recent_totals.append(sums)
        if now - self._minute.at >= MINUTE_SECONDS:
            self._end_minute(sums, self._minute)

    def to_dict(self) -> JsonObject:
        """Return the rows, the latest last, what was spent lately, and what the last whole minute was like."""
        tree: JsonObject = {"columns": COLUMNS, "rows": list(self._rows)}
        if len(self._recent_totals) > 1:
            first, last = self._recent_totals[0], self._recent_totals[-1]
            spent = {name: getattr(last, name) - getattr(first, name) for name in ("borrows", "busy", "requests")}
            tree["spent"] = {"seconds": last.at - first.at, **spent}
        if self._last_minute is not None:
            tree["minute"] = self._last_minute
        return tree

    def _end_minute(self, sums: _Totals, before: _Totals) -> None:
        spent: dict[str, Any] = {
            name: getattr(sums, name) - getattr(before, name)
            for name in ("borrows", "busy", "waited", "turned_away", "requests", "statements", "batches", "entries")
        }
        peaks = {f"{name}_most": value for name, value in self._peaks.items()}
        self._last_minute = {"ended": sums.at, "seconds": sums.at - before.at, **spent, **peaks}
        self._minute, self._peaks = sums, dict.fromkeys(self._peaks, 0.0)
