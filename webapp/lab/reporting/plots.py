"""Plots as SVG, each drawn once for a light and once for a dark page. They need matplotlib: the lab's extra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import MaxNLocator

from webapp.lab.reporting.plot_style import (
    HEIGHT,
    PANEL_HEIGHT,
    ROW_HEIGHT,
    TEXT_COLOUR,
    PlotStyle,
    Points,
    Tone,
    add_line,
    create_panels,
    draw_figure,
    draw_markers,
    label_axes,
    label_line_ends,
    label_width,
    set_scales,
)
from webapp.lab.reporting.report import Figure, format_value

EDGE_SHARE = 0.6
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


def plot_lines(
    title: str,
    x_label: str,
    y_label: str,
    series: Mapping[str, Points],
    *,
    bands: Mapping[str, Sequence[tuple[float, float, float]]] | None = None,
    markers: Sequence[tuple[float, str]] = (),
    log_x: bool = False,
    log_y: bool = False,
    caption: str = "",
    tones: Mapping[str, Tone] | None = None,
    show_points: bool = True,
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

    def draw(look: PlotStyle) -> Drawing:
        drawing, (axes,) = create_panels([HEIGHT], right_margin=label_width(series))
        for name, band in (bands or {}).items():
            x, low, high = zip(*band, strict=True)
            axes.fill_between(x, low, high, color=look.colour(name), alpha=0.16, linewidth=0)
        for name, points in series.items():
            add_line(axes, look, name, points, marker="o" if show_points else "")
        set_scales(axes, log_x=log_x, log_y=log_y, x=[x for points in series.values() for x, _ in points])
        draw_markers(axes, markers, look)
        label_axes(axes, x_label, y_label)
        label_line_ends(axes, series, look)
        return drawing

    return draw_figure(title, caption, tones, draw)


def plot_timeline(
    title: str,
    x_label: str,
    panels: Sequence[Panel],
    *,
    markers: Sequence[tuple[float, str]] = (),
    caption: str = "",
    tones: Mapping[str, Tone] | None = None,
) -> Figure:
    """Draw panels above each other that share the time axis; the marks go through all of them."""

    def draw(look: PlotStyle) -> Drawing:
        drawing, rows = create_panels(
            [PANEL_HEIGHT * panel.height for panel in panels], right_margin=label_width(_names_at_edge(panels))
        )
        for number, (axes, panel) in enumerate(zip(rows, panels, strict=True)):
            for name, points in panel.series.items():
                add_line(axes, look, name, points, marker="")
                if panel.filled and points:
                    x, y = zip(*points, strict=True)
                    axes.fill_between(x, y, color=look.colour(name), alpha=0.13, linewidth=0)
            is_last = number == len(panels) - 1
            draw_markers(axes, markers if number == 0 else [(at, "") for at, _ in markers], look)
            label_axes(axes, x_label if is_last else "", panel.y_label)
            axes.tick_params(labelbottom=is_last)
            axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
            axes.set_ylim(bottom=0)
            label_line_ends(axes, panel.series, look)
        return drawing

    return draw_figure(title, caption, tones, draw)


def _names_at_edge(panels: Sequence[Panel]) -> list[str]:
    """Return the names that need room beside the panels: lines that end early have theirs within."""
    ends = [(points[-1][0], name) for panel in panels for name, points in panel.series.items() if points]
    edge = max((end for end, _ in ends), default=0.0)
    return [name for end, name in ends if end >= edge * EDGE_SHARE]


def plot_bars(
    title: str,
    y_label: str,
    groups: Mapping[str, Mapping[str, float | None]],
    *,
    caption: str = "",
    tones: Mapping[str, Tone] | None = None,
    log_scale: bool = False,
) -> Figure:
    """Draw lying bars, grouped: group → name → value in the unit that `y_label` says; None is said to be missing."""

    def draw(look: PlotStyle) -> Drawing:
        count = sum(len(values) for values in groups.values())
        drawing, (axes,) = create_panels(
            [ROW_HEIGHT * (count + 0.7 * len(groups))], left_margin=label_width(groups), bottom_margin=0.05
        )
        row, places = 0.0, []
        several = len({name for values in groups.values() for name in values}) > 1
        for group, values in groups.items():
            places.append((row + (len(values) - 1) / 2, group))
            for name, value in values.items():
                axes.barh(row, value or 0, height=0.72, color=look.colour(name), linewidth=0)
                said = ("–" if value is None else format_value(value)) + (f"  {name}" if several else "")
                axes.annotate(said, (value or 0, row), (5, 0), textcoords="offset points", va="center_baseline")
                row += 1
            row += 0.7
        axes.set_yticks([place for place, _ in places], [group for _, group in places])
        axes.invert_yaxis()
        axes.margins(x=0.18, y=0.02)
        axes.spines["bottom"].set_visible(False)
        axes.grid(visible=False)
        axes.tick_params(bottom=False, labelbottom=False, left=False, labelcolor=TEXT_COLOUR[look.theme])
        if log_scale:
            axes.set_xscale("log")
        label_axes(axes, "", y_label, left_margin=0)
        return drawing

    return draw_figure(title, caption, tones, draw)
