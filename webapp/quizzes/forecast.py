"""How many players may come at once, by what the lab has measured on this machine; the lab itself is never imported.

`poolproof lab push` is the answer itself: so many came, and all were served. `poolproof lab size` has measured how many
requests a second the service answers, from which a rate of players follows. Nothing is reckoned beyond that.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from poolproof.runtime.files import read_json

PUSH_FILE, SIZE_FILE = "push-latest.json", "size-latest.json"
MAX_FILE_BYTES = 64 * 1024
OTHER_REQUESTS = 4
"""Of a player beside the answers: open, start, finish, read the leaderboard."""


@dataclass(frozen=True)
class MeasuredPush:
    """The latest `poolproof lab push`."""

    at: str
    users: int
    served: int
    """How many of them were served to the end."""
    ramp: float
    """Seconds in which they came."""
    p99: float
    """Seconds that 99 of 100 needed at most, from opening to leaderboard."""

    @property
    def all_were_served(self) -> bool:
        """Whether it shows that so many may come."""
        return self.served >= self.users


@dataclass(frozen=True)
class MeasuredRate:
    """What the service answers in a second, by the latest report of the lab."""

    at: str
    requests_per_second: float

    def players_per_second(self, questions: int) -> float:
        """Return how many players of a quiz with so many questions are served in a second, from first to last page."""
        return self.requests_per_second / (questions + OTHER_REQUESTS)


@dataclass(frozen=True)
class Forecast:
    """What is known; nothing before the lab was used."""

    push: MeasuredPush | None
    rate: MeasuredRate | None


def read_forecast(folder: Path) -> Forecast:
    """Return what the lab's reports in this folder say; files that are missing or cannot be read say nothing."""
    push, size = (read_json(folder / name, MAX_FILE_BYTES) or {} for name in (PUSH_FILE, SIZE_FILE))
    return Forecast(_push(push), _rate(push, "requests_per_second") or _rate(size, "throughput"))


def _push(report: dict[str, Any]) -> MeasuredPush | None:
    try:
        served = int(report["done"]) if report["is_intact"] is True else 0
        return MeasuredPush(
            str(report["at"]), int(report["users"]), served, _number(report["ramp"]), _number(report["p99"])
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _rate(report: dict[str, Any], name: str) -> MeasuredRate | None:
    try:
        rate = _number(report[name])
        return MeasuredRate(str(report["at"]), rate) if rate > 0 else None
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _number(value: Any) -> float:
    number = float(value)
    if not isfinite(number):
        raise ValueError(f"{value!r} is not a number of a measurement")
    return number
