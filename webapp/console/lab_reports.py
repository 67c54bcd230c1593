"""The reports of the lab and its latest recommendation, read from files; the lab itself is never imported."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from poolproof.capacity.advice import SizeRecommendation
from poolproof.runtime.files import read_json

FOLDER = "reports"
RECOMMENDATION_FILE = "size-latest.json"
MAX_REPORTS = 50
MAX_REPORT_BYTES = 32 * 1024 * 1024
"""Larger reports are not read."""
NAME_PATTERN = re.compile(r"\d{8}T\d{6}Z-[a-z]+(-\d+)?")
"""The names of the lab's reports; no other file is opened."""


@dataclass(frozen=True)
class ReportSummary:
    """A report of the lab."""

    name: str
    kind: str
    title: str
    verdict: str
    at: str


def list_reports(directory: Path) -> list[ReportSummary]:
    """Return the latest reports, the newest first; those that cannot be read are left out."""
    names = sorted((path.stem for path in directory.glob("*.json") if NAME_PATTERN.fullmatch(path.stem)), reverse=True)
    reports = ((name, read_json(directory / f"{name}.json", MAX_REPORT_BYTES) or {}) for name in names[:MAX_REPORTS])
    return [
        ReportSummary(name, *(str(report.get(key, "")) for key in ("kind", "title", "verdict", "at")))
        for name, report in reports
        if report
    ]


def read_report_page(directory: Path, name: str) -> bytes | None:
    """Return a report's page, or None when there is none of that name."""
    path = directory / f"{name}.html"
    if not NAME_PATTERN.fullmatch(name) or not path.is_file() or path.stat().st_size > MAX_REPORT_BYTES:
        return None
    return path.read_bytes()


def read_recommendation(directory: Path) -> SizeRecommendation | None:
    """Return the recommendation of the latest `poolproof lab size`; None when there is none, or it cannot be read."""
    report = read_json(directory / RECOMMENDATION_FILE, MAX_REPORT_BYTES) or {}
    try:
        return SizeRecommendation(
            str(report["at"]),
            int(report["workers"]),
            int(report["pool"]),
            float(report["throughput"]),
            float(report["p99"]) if report["p99"] is not None else None,
        )
    except (KeyError, TypeError, ValueError):
        return None
