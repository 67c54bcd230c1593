"""Numbers into shapes: what the templates draw as inline SVG. Pure; lengths are in units of the drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from poolproof.core.stats import BUCKET_OFFSET, Histogram
from poolproof.metrics.timeline import WINDOW_SECONDS
from webapp.console.fleet_view import FleetView, ProcessView
from webapp.console.history import Minute

WIDTH, HEIGHT = 240, 48
"""Of a strip and of a distribution."""
MAX_GAP = 150.0
"""Seconds between two minutes above which a line is not drawn through."""


@dataclass(frozen=True)
class Bar:
    """A part of a stacked bar or a column of a distribution; `words` are what a screen reader says."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    label: str
    value: float = 0


@dataclass(frozen=True)
class TimelineChart:
    """A process's last two minutes: areas as paths, columns where somebody waited or was turned away."""

    used: str
    open: str
    size_y: float
    max_value: int
    """What the upper edge stands for."""
    waiting: Sequence[Bar]
    label: str


@dataclass(frozen=True)
class HistoryChart:
    """A machine's past: paths over the whole width, with its highest value and its ends."""

    used: str
    open: str
    rejected: Sequence[Bar]
    max_value: int
    begins: datetime
    ends: datetime
    label: str


def budget_bars(view: FleetView) -> tuple[list[Bar], int]:
    """Return the parts of the server's connections, as a bar of 1000 units, and what its whole length stands for."""
    facts = view.server.facts
    budgeted = view.need.workers_total + view.need.background_total
    idle = view.open - view.used
    # Other machines with the same account are others, too.
    others = facts.foreign_connections + max(0, len(view.server.processes) - view.open) if facts is not None else 0
    whole = facts.max_connections if facts is not None and facts.max_connections else max(budgeted, view.open)
    unopened = max(0, budgeted - view.open)
    parts = [
        ("used", view.used, "in use by us"),
        ("idle", idle, "open and idle, ours"),
        ("budget", unopened, "ours to open"),
        ("others", others, "of others"),
        ("free", max(0, whole - view.used - idle - unopened - others), "free"),
    ]
    scale, x, bars = 1000 / max(1, whole, view.open + unopened + others), 0.0, []
    for kind, count, words in parts:
        if count:
            bars.append(Bar(kind, round(x, 2), 0, round(count * scale, 2), 1, f"{count} {words}", count))
            x += count * scale
    return bars, whole


def timeline_chart(process: ProcessView) -> TimelineChart:
    """Return a process's last two minutes, the present at the right."""
    size = sum(lane.size for lane in process.lanes)
    rows = process.rows
    top = max([size, 1, *(int(row[0] + row[1]) for row in rows), *(int(row[2]) for row in rows)])
    step, begin = WIDTH / WINDOW_SECONDS, WINDOW_SECONDS - len(rows)

    def area(heights: Sequence[float]) -> str:
        if not heights:
            return ""
        points = [f"{(begin + place) * step:.1f},{_y(value, top):.1f}" for place, value in enumerate(heights)]
        return f"M{begin * step:.1f},{HEIGHT} L{' '.join(points)} L{(begin + len(heights) - 1) * step:.1f},{HEIGHT} Z"

    marks = []
    for place, row in enumerate(rows):
        kind = "away" if row[4] else "waiting"
        if row[4] or row[2]:
            height = HEIGHT if row[4] else max(3.0, HEIGHT - _y(row[2], top))
            x = (begin + place) * step
            marks.append(Bar(kind, round(x, 1), round(HEIGHT - height, 1), step, round(height, 1), ""))
    waited = max((int(row[2]) for row in rows), default=0)
    words = (
        f"{process.label}, last two minutes: at most {max((int(row[0]) for row in rows), default=0)} in use of {size}, "
        f"at most {waited} waiting, {process.rejected} turned away"
    )
    opened = area([row[0] + row[1] for row in rows])
    return TimelineChart(area([row[0] for row in rows]), opened, round(_y(size, top), 1), top, marks, words)


def history_chart(minutes: Sequence[Minute], seconds: int, now: datetime) -> HistoryChart | None:
    """Return one machine's minutes; None when there are none."""
    if not minutes:
        return None
    top = max([1, *(minute.open_most for minute in minutes)])
    began = now.timestamp() - seconds

    def line(values: Sequence[tuple[float, int]]) -> str:
        path, before = "", None
        for moment, value in values:
            x = (moment - began) / seconds * WIDTH
            joins = before is not None and moment - before <= MAX_GAP
            path += f"{'L' if joins else 'M'}{x:.1f},{_y(value, top):.1f} "
            before = moment
        return path.strip()

    moments = [minute.ended_at.timestamp() for minute in minutes]
    away = [
        Bar("away", round((moment - began) / seconds * WIDTH, 1), 0, 1.5, HEIGHT, "")
        for moment, minute in zip(moments, minutes, strict=True)
        if minute.rejected
    ]
    words = (
        f"{minutes[0].machine}: at most {max(minute.used_most for minute in minutes)} in use and {top} open, "
        f"{sum(minute.rejected for minute in minutes)} turned away, {sum(m.requests for m in minutes)} requests"
    )
    return HistoryChart(
        line([(moment, minute.used_most) for moment, minute in zip(moments, minutes, strict=True)]),
        line([(moment, minute.open_most) for moment, minute in zip(moments, minutes, strict=True)]),
        away,
        top,
        datetime.fromtimestamp(began, now.tzinfo),
        now,
        words,
    )


def histogram_bars(histogram: Histogram, lowest: int = -17, highest: int = 5) -> list[Bar]:
    """Return a column for each power of two of seconds; what lies beyond the ends stands in the outer columns."""
    counts = histogram.counts
    columns = [
        sum(counts[: lowest + BUCKET_OFFSET + 1]),
        *counts[lowest + BUCKET_OFFSET + 1 : highest + BUCKET_OFFSET],
        sum(counts[highest + BUCKET_OFFSET :]),
    ]
    return column_bars(
        columns, [f"up to {format_duration_precise(2.0**power)}" for power in range(lowest, highest + 1)]
    )


def column_bars(counts: Sequence[int], labels: Sequence[str]) -> list[Bar]:
    """Return columns, the highest as high as the drawing; a small one is still to be seen."""
    top, width = max([1, *counts]), WIDTH / max(1, len(counts))
    return [
        Bar(
            "column", round(place * width, 2), round(HEIGHT - _height(count, top), 1), round(width - 1, 2),
            round(_height(count, top), 1), f"{name}: {count}", count,
        )
        for place, (count, name) in enumerate(zip(counts, labels, strict=True))
    ]  # fmt: skip


def format_duration_precise(seconds: float) -> str:
    """Return a duration with the unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def _height(count: int, top: int) -> float:
    return max(1.5, HEIGHT * count / top) if count else 0.0


def _y(value: float, top: float) -> float:
    return HEIGHT - HEIGHT * min(value, top) / top
