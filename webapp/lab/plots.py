"""Plots as SVG, each drawn once for a light and once for a dark page. They need matplotlib: the lab's extra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import MaxNLocator

from webapp.lab.drawing import (
    HEIGHT,
    INK,
    PANEL,
    ROW,
    Look,
    Points,
    Tone,
    add_line,
    figure,
    label_axes,
    mark,
    name_ends,
    room,
    scale,
    sheet,
)
from webapp.lab.reporting import Figure, shown

WITHIN = 0.6
"""Of the time axis: a line that ends before has room for its name within the panel."""


@dataclass(frozen=True)
class Panel:
    """One of several plots above each other that share the time axis."""

    y_label: str
    series: Mapping[str, Points]
    filled: bool = False
    """Colour the area below each line."""
    height: float = 1.0
    """Beside the other panels."""


def lines(
    title: str,
    x_label: str,
    y_label: str,
    series: Mapping[str, Points],
    *,
    bands: Mapping[str, Sequence[tuple[float, float, float]]] | None = None,
    marks: Sequence[tuple[float, str]] = (),
    log_x: bool = False,
    log_y: bool = False,
    caption: str = "",
    tones: Mapping[str, Tone] | None = None,
    dots: bool = True,
) -> Figure:
    """Draw named lines.

    Args:
        title: Above the figure.
        x_label: What the horizontal axis counts, with its unit.
        y_label: The same for the vertical one; stands above it, to be read without turning the head.
        series: Points by name; a name that has a band, too, shares its colour.
        bands: (x, low, high) by name: how sure a line is.
        marks: Upright lines with a word.
        log_x: Whether the axis is one of powers.
        log_y: The same for the vertical one.
        caption: Below the figure.
        tones: Colours by name; otherwise by their order.
        dots: Whether each point is shown.
    """

    def draw(look: Look) -> Drawing:
        drawing, (axes,) = sheet([HEIGHT], right=room(series))
        for name, band in (bands or {}).items():
            x, low, high = zip(*band, strict=True)
            axes.fill_between(x, low, high, color=look.colour(name), alpha=0.16, linewidth=0)
        for name, points in series.items():
            add_line(axes, look, name, points, marker="o" if dots else "")
        scale(axes, log_x=log_x, log_y=log_y, x=[x for points in series.values() for x, _ in points])
        mark(axes, marks, look)
        label_axes(axes, x_label, y_label)
        name_ends(axes, series, look)
        return drawing

    return figure(title, caption, tones, draw)


def timeline(
    title: str,
    x_label: str,
    panels: Sequence[Panel],
    *,
    marks: Sequence[tuple[float, str]] = (),
    caption: str = "",
    tones: Mapping[str, Tone] | None = None,
) -> Figure:
    """Draw panels above each other that share the time axis; the marks go through all of them."""

    def draw(look: Look) -> Drawing:
        drawing, rows = sheet([PANEL * panel.height for panel in panels], right=room(_at_the_edge(panels)))
        for number, (axes, panel) in enumerate(zip(rows, panels, strict=True)):
            for name, points in panel.series.items():
                add_line(axes, look, name, points, marker="")
                if panel.filled and points:
                    x, y = zip(*points, strict=True)
                    axes.fill_between(x, y, color=look.colour(name), alpha=0.13, linewidth=0)
            is_last = number == len(panels) - 1
            mark(axes, marks if number == 0 else [(at, "") for at, _ in marks], look)
            label_axes(axes, x_label if is_last else "", panel.y_label)
            axes.tick_params(labelbottom=is_last)
            axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
            axes.set_ylim(bottom=0)
            name_ends(axes, panel.series, look)
        return drawing

    return figure(title, caption, tones, draw)


def _at_the_edge(panels: Sequence[Panel]) -> list[str]:
    """Return the names that need room beside the panels: lines that end early have theirs within."""
    ends = [(points[-1][0], name) for panel in panels for name, points in panel.series.items() if points]
    edge = max((end for end, _ in ends), default=0.0)
    return [name for end, name in ends if end >= edge * WITHIN]


def bars(
    title: str,
    y_label: str,
    groups: Mapping[str, Mapping[str, float | None]],
    *,
    caption: str = "",
    tones: Mapping[str, Tone] | None = None,
    log: bool = False,
) -> Figure:
    """Draw lying bars, grouped: group → name → value in the unit that `y_label` says; None is said to be missing."""

    def draw(look: Look) -> Drawing:
        count = sum(len(values) for values in groups.values())
        drawing, (axes,) = sheet([ROW * (count + 0.7 * len(groups))], left=room(groups), below=0.05)
        row, places = 0.0, []
        several = len({name for values in groups.values() for name in values}) > 1
        for group, values in groups.items():
            places.append((row + (len(values) - 1) / 2, group))
            for name, value in values.items():
                axes.barh(row, value or 0, height=0.72, color=look.colour(name), linewidth=0)
                said = ("–" if value is None else shown(value)) + (f"  {name}" if several else "")
                axes.annotate(said, (value or 0, row), (5, 0), textcoords="offset points", va="center_baseline")
                row += 1
            row += 0.7
        axes.set_yticks([place for place, _ in places], [group for _, group in places])
        axes.invert_yaxis()
        axes.margins(x=0.18, y=0.02)
        axes.spines["bottom"].set_visible(False)
        axes.grid(visible=False)
        axes.tick_params(bottom=False, labelbottom=False, left=False, labelcolor=INK[look.page])
        if log:
            axes.set_xscale("log")
        label_axes(axes, "", y_label, left=0)
        return drawing

    return figure(title, caption, tones, draw)
