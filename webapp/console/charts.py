"""The shapes that the templates draw as inline SVG. Pure; lengths are in units of the drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from poolproof.core.stats import BUCKET_OFFSET, Histogram
from poolproof.metrics.timeline import WINDOW_SECONDS
from webapp.console.fleet_view import FleetView, ProcessView
from webapp.console.format_duration import format_duration
from webapp.console.history import Minute
from webapp.messages import message

WIDTH, HEIGHT = 240, 48
"""Of a timeline and of a histogram."""
MAX_GAP = 150.0
"""Seconds between two minutes above which the line is interrupted."""


@dataclass(frozen=True)
class Bar:
    """A part of a stacked bar or a column of a histogram; `label` is for screen readers."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    label: str
    value: float = 0


@dataclass(frozen=True)
class TimelineChart:
    """A process's last two minutes: areas as paths, columns where requests waited or were rejected."""

    used: str
    open: str
    size_y: float
    max_value: int
    """The value of the upper edge."""
    waiting: Sequence[Bar]
    label: str


@dataclass(frozen=True)
class HistoryChart:
    """A machine's history: paths over the whole width, with the highest value and both ends."""

    used: str
    open: str
    rejected: Sequence[Bar]
    max_value: int
    begins: datetime
    ends: datetime
    label: str


def budget_bars(view: FleetView) -> tuple[list[Bar], int]:
    """Return the parts of the server's connections, as a bar of 1000 units, and the value of its whole length."""
    facts = view.server.facts
    budgeted = view.need.workers_total + view.need.background_total
    idle = view.open - view.used
    # Other machines with the same account are foreign, too.
    foreign = facts.foreign_connections + max(0, len(view.server.processes) - view.open) if facts is not None else 0
    total = facts.max_connections if facts is not None and facts.max_connections else max(budgeted, view.open)
    unopened = max(0, budgeted - view.open)
    parts = [
        ("used", view.used, message("in use")),
        ("idle", idle, message("idle")),
        ("budget", unopened, message("not yet opened")),
        ("foreign", foreign, message("other clients")),
        ("free", max(0, total - view.used - idle - unopened - foreign), message("free")),
    ]
    scale, x, bars = 1000 / max(1, total, view.open + unopened + foreign), 0.0, []
    for kind, count, name in parts:
        if count:
            label = message("%(count)s %(name)s", count=count, name=name)
            bars.append(Bar(kind, round(x, 2), 0, round(count * scale, 2), 1, label, count))
            x += count * scale
    return bars, total


def timeline_chart(process: ProcessView) -> TimelineChart:
    """Return a process's last two minutes, the present at the right."""
    size, rows = sum(lane.size for lane in process.lanes), process.rows
    used, opened = [row[0] for row in rows], [row[0] + row[1] for row in rows]
    most_used, most_waiting = int(max(used, default=0)), max((int(row[2]) for row in rows), default=0)
    top = max(size, 1, int(max(opened, default=0)), most_waiting)
    label = message(
        "%(process)s, last two minutes: at most %(used)s in use of %(size)s, at most %(waiting)s waiting, "
        "%(rejected)s rejected",
        process=process.label,
        used=most_used,
        size=size,
        waiting=most_waiting,
        rejected=process.rejected,
    )
    return TimelineChart(
        _area(used, top), _area(opened, top), round(_y(size, top), 1), top, _waiting_bars(rows, top), label
    )


def _area(heights: Sequence[float], top: int) -> str:
    if not heights:
        return ""
    step, first = WIDTH / WINDOW_SECONDS, WINDOW_SECONDS - len(heights)
    points = [f"{(first + index) * step:.1f},{_y(value, top):.1f}" for index, value in enumerate(heights)]
    return f"M{first * step:.1f},{HEIGHT} L{' '.join(points)} L{(first + len(heights) - 1) * step:.1f},{HEIGHT} Z"


def _waiting_bars(rows: Sequence[Sequence[float]], top: int) -> list[Bar]:
    """Return a column for each second in which requests waited; a full one where some were rejected."""
    step, first = WIDTH / WINDOW_SECONDS, WINDOW_SECONDS - len(rows)
    bars = []
    for index, row in enumerate(rows):
        waiting, rejected = row[2], row[4]
        if rejected or waiting:
            height = HEIGHT if rejected else max(3.0, HEIGHT - _y(waiting, top))
            kind = "rejected" if rejected else "waiting"
            x = round((first + index) * step, 1)
            bars.append(Bar(kind, x, round(HEIGHT - height, 1), step, round(height, 1), ""))
    return bars


def history_chart(minutes: Sequence[Minute], seconds: int, now: datetime) -> HistoryChart | None:
    """Return one machine's minutes; None when there are none."""
    if not minutes:
        return None
    top = max([1, *(minute.open_most for minute in minutes)])
    started_at = now.timestamp() - seconds
    xs = [(minute.ended_at.timestamp() - started_at) / seconds * WIDTH for minute in minutes]
    max_gap = MAX_GAP / seconds * WIDTH
    rejected = [
        Bar("rejected", round(x, 1), 0, 1.5, HEIGHT, "")
        for x, minute in zip(xs, minutes, strict=True)
        if minute.rejected
    ]
    label = message(
        "%(machine)s: at most %(used)s in use and %(open)s open, %(rejected)s rejected, %(requests)s requests",
        machine=minutes[0].machine,
        used=max(minute.used_most for minute in minutes),
        open=top,
        rejected=sum(minute.rejected for minute in minutes),
        requests=sum(minute.requests for minute in minutes),
    )
    return HistoryChart(
        _line(xs, [minute.used_most for minute in minutes], top, max_gap),
        _line(xs, [minute.open_most for minute in minutes], top, max_gap),
        rejected,
        top,
        datetime.fromtimestamp(started_at, now.tzinfo),
        now,
        label,
    )


def _line(xs: Sequence[float], values: Sequence[int], top: int, max_gap: float) -> str:
    """Return a path through the values, interrupted where two of them are further apart than `max_gap`."""
    path, previous = [], None
    for x, value in zip(xs, values, strict=True):
        is_joined = previous is not None and x - previous <= max_gap
        path.append(f"{'L' if is_joined else 'M'}{x:.1f},{_y(value, top):.1f}")
        previous = x
    return " ".join(path)


def histogram_bars(histogram: Histogram, lowest: int = -17, highest: int = 5) -> list[Bar]:
    """Return a column for each power of two of seconds; the outer columns include what is beyond them."""
    counts = histogram.counts
    columns = [
        sum(counts[: lowest + BUCKET_OFFSET + 1]),
        *counts[lowest + BUCKET_OFFSET + 1 : highest + BUCKET_OFFSET],
        sum(counts[highest + BUCKET_OFFSET :]),
    ]
    return column_bars(
        columns, [message("up to %(time)s", time=format_duration(2.0**power)) for power in range(lowest, highest + 1)]
    )


def column_bars(counts: Sequence[int], labels: Sequence[str]) -> list[Bar]:
    """Return columns, the highest as high as the drawing; a small one remains visible."""
    top, width = max([1, *counts]), WIDTH / max(1, len(counts))
    return [
        Bar(
            "column", round(index * width, 2), round(HEIGHT - _height(count, top), 1), round(width - 1, 2),
            round(_height(count, top), 1), message("%(name)s: %(count)s", name=name, count=count),
            count,
        )
        for index, (count, name) in enumerate(zip(counts, labels, strict=True))
    ]  # fmt: skip


def _height(count: int, top: int) -> float:
    return max(1.5, HEIGHT * count / top) if count else 0.0


def _y(value: float, top: float) -> float:
    return HEIGHT - HEIGHT * min(value, top) / top
