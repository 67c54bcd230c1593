"""What the lab has measured: its kept reports, and what it recommends; only files, the lab itself is never loaded."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = "reports"
RECOMMENDATION_FILE = "size-latest.json"
MAX_REPORTS = 50
MAX_REPORT_BYTES = 32 * 1024 * 1024
"""Bytes of a report that is read."""
NAME_PATTERN = re.compile(r"\d{8}T\d{6}Z-[a-z]+(-\d+)?")
"""How the lab names a report; nothing else is opened."""


@dataclass(frozen=True)
class ReportSummary:
    """A report of the lab."""

    name: str
    kind: str
    title: str
    verdict: str
    at: str


@dataclass(frozen=True)
class SizeRecommendation:
    """What `poolproof lab size` recommended last: a pool of `pool` for each of `workers`; throughput a second."""

    at: str
    workers: int
    pool_size: int
    throughput: float
    p99: float | None
    """Seconds; None where no latency was measured."""

    @property
    def connections(self) -> int:
        """Of all workers together."""
        return self.workers * self.pool_size


def list_reports(folder: Path) -> list[ReportSummary]:
    """Return the latest reports, the newest first; what cannot be read is passed over."""
    names = sorted((path.stem for path in folder.glob("*.json") if NAME_PATTERN.fullmatch(path.stem)), reverse=True)
    found = ((name, _read_json(folder / f"{name}.json")) for name in names[:MAX_REPORTS])
    return [
        ReportSummary(name, *(str(report.get(word, "")) for word in ("kind", "title", "verdict", "at")))
        for name, report in found
        if report
    ]


def read_report_page(folder: Path, name: str) -> bytes | None:
    """Return a report's page, or None when there is none of that name."""
    path = folder / f"{name}.html"
    if not NAME_PATTERN.fullmatch(name) or not path.is_file() or path.stat().st_size > MAX_REPORT_BYTES:
        return None
    return path.read_bytes()


def read_recommendation(folder: Path) -> SizeRecommendation | None:
    """Return what was recommended last; None when nothing was, or it cannot be read."""
    found = _read_json(folder / RECOMMENDATION_FILE)
    try:
        return SizeRecommendation(
            str(found["at"]),
            int(found["workers"]),
            int(found["pool"]),
            float(found["throughput"]),
            float(found["p99"]) if found["p99"] is not None else None,
        )
    except (KeyError, TypeError, ValueError):
        return None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_REPORT_BYTES:
            return {}
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
