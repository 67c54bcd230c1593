"""The file in which the latest push of this machine is kept: the studio tells authors how many players may come."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from webapp.lab.push.push_report import PushSummary

LATEST_FILE = "push-latest.json"


def save_latest(summary: PushSummary, ramp: float, folder: Path) -> None:
    """Store the figures that a forecast needs; `ramp` is in how many seconds the users came."""
    figures = {
        "at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "users": summary.users,
        "done": summary.done + summary.vanished,
        "ramp": ramp,
        "p99": summary.session.p99,
        "requests_per_second": summary.requests_per_second,
        "is_intact": summary.verification is not None and summary.verification.is_intact,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LATEST_FILE).write_text(json.dumps(figures, indent=1), encoding="utf-8")
