"""The last two minutes of a process, second by second, and its last whole minute; derived from its counters."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from poolproof.runtime.files import JsonObject

WINDOW_SECONDS = 120
"""How far the timeline reaches back."""
MINUTE_SECONDS = 60.0
INTERACTIVE_LANE = "interactive"
EMPTY_COUNTERS: JsonObject = {"borrows": 0, "uses": {"total": 0.0}, "waits": {"total": 0.0}}

COLUMNS = ("used", "idle", "waiting", "oldest", "turned_away", "requests")
"""The values of each second; the last two are counts within that second."""


@dataclass(frozen=True)
class _Totals:
    """Counters at one moment: those of the interactive lane, and the rejections of all lanes.

    The names are those of the JSON fields, by which `RecentTimeline` reads them.
    """

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
        """Sum up; `held_seconds` includes the time of connections that are still checked out."""
        lanes, commits = counters.get("lanes", {}), counters.get("commits", {}).values()
        interactive = lanes.get(INTERACTIVE_LANE, EMPTY_COUNTERS)
        return cls(
            at,
            borrows=interactive["borrows"],
            busy=interactive["uses"]["total"] + held_seconds,
            waited=interactive["waits"]["total"],
            turned_away=sum(lane["timeouts"] + lane["shed"] + lane["refused"] for lane in lanes.values()),
            requests=counters.get("requests", {}).get("count", 0),
            statements=counters.get("requests", {}).get("statements", 0),
            batches=sum(sum(commit["batches"]) for commit in commits),
            entries=sum(commit["entries"] for commit in commits),
        )


class RecentTimeline:
    """Keeps the values of a process's last seconds, and of its last whole minute."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._rows: deque[list[float]] = deque(maxlen=WINDOW_SECONDS)
        self._recent_totals: deque[_Totals] = deque(maxlen=int(MINUTE_SECONDS))
        self._second: _Totals | None = None
        self._minute: _Totals | None = None
        self._peaks = dict.fromkeys(("used", "open", "waiting", "oldest"), 0.0)
        self._last_minute: JsonObject | None = None

    def record(self, lanes: dict[str, JsonObject], counters: JsonObject) -> None:
        """Record a process's present state; called some times a second."""
        now = time.monotonic()
        totals = _Totals.from_counters(counters, lanes.get(INTERACTIVE_LANE, {}).get("held", 0.0), now)
        used = sum(lane["used"] for lane in lanes.values())
        idle = sum(lane["idle"] for lane in lanes.values())
        waiting = sum(lane["waiting"] for lane in lanes.values())
        oldest = max((lane["oldest"] for lane in lanes.values()), default=0.0)
        for name, value in (("used", used), ("open", used + idle), ("waiting", waiting), ("oldest", oldest)):
            self._peaks[name] = max(self._peaks[name], value)
        if self._second is None or self._minute is None:
            self._second = self._minute = totals
        elif now - self._second.at >= 1.0:
            turned_away = totals.turned_away - self._second.turned_away
            requests = totals.requests - self._second.requests
            self._rows.append([used, idle, waiting, oldest, turned_away, requests])
            self._second = totals
            self._recent_totals.append(totals)
        if now - self._minute.at >= MINUTE_SECONDS:
            self._end_minute(totals, self._minute)

    def to_dict(self) -> JsonObject:
        """Return the rows, the latest last, the sums of the last minute so far, and those of the last whole minute."""
        timeline: JsonObject = {"columns": COLUMNS, "rows": list(self._rows)}
        if len(self._recent_totals) > 1:
            first, last = self._recent_totals[0], self._recent_totals[-1]
            spent = {name: getattr(last, name) - getattr(first, name) for name in ("borrows", "busy", "requests")}
            timeline["spent"] = {"seconds": last.at - first.at, **spent}
        if self._last_minute is not None:
            timeline["minute"] = self._last_minute
        return timeline

    def _end_minute(self, totals: _Totals, before: _Totals) -> None:
        spent: dict[str, Any] = {
            name: getattr(totals, name) - getattr(before, name)
            for name in ("borrows", "busy", "waited", "turned_away", "requests", "statements", "batches", "entries")
        }
        peaks = {f"{name}_most": value for name, value in self._peaks.items()}
        self._last_minute = {"ended": totals.at, "seconds": totals.at - before.at, **spent, **peaks}
        self._minute, self._peaks = totals, dict.fromkeys(self._peaks, 0.0)
