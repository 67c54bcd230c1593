"""Plots as SVG, each drawn once for a light and once for a dark page, with matplotlib (of the extra `lab`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import MaxNLocator

from poolproof.lab.reporting.plot_style import (
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
from poolproof.lab.reporting.report import Figure, format_value

EDGE_SHARE = 0.6
"""Share of the time axis: the label of a line that ends before it fits into the panel."""


@dataclass(frozen=True)
class Panel:
    """One of several plots above each other with a common time axis."""

    y_label: str
    series: Mapping[str, Points]
    filled: bool = False
    """Colour the area below each line."""
    height: float = 1.0
    """Relative to the other panels."""


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
        x_label: Label of the x axis, with its unit.
        y_label: Label of the y axis; it is horizontal and stands above the axis.
        series: Points by name.
        bands: (x, low, high) by name: the interval of a line, in the colour of its name.
        markers: Vertical lines, as (x, label).
        log_x: Whether the x axis is logarithmic.
        log_y: Whether the y axis is logarithmic.
        caption: Below the figure.
        tones: Colours by name; other names get colours by their order.
        show_points: Whether each point has a dot.
    """

    def draw(style: PlotStyle) -> Drawing:
        drawing, (axes,) = create_panels([HEIGHT], right_margin=label_width(series))
        for name, band in (bands or {}).items():
            x, low, high = zip(*band, strict=True)
            axes.fill_between(x, low, high, color=style.colour(name), alpha=0.16, linewidth=0)
        for name, points in series.items():
            add_line(axes, style, name, points, marker="o" if show_points else "")
        set_scales(axes, log_x=log_x, log_y=log_y, x=[x for points in series.values() for x, _ in points])
        draw_markers(axes, markers, style)
        label_axes(axes, x_label, y_label)
        label_line_ends(axes, series, style)
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
    """Draw panels above each other with a common time axis; the markers cross all of them."""

    def draw(style: PlotStyle) -> Drawing:
        drawing, rows = create_panels(
            [PANEL_HEIGHT * panel.height for panel in panels], right_margin=label_width(_names_at_edge(panels))
        )
        for number, (axes, panel) in enumerate(zip(rows, panels, strict=True)):
            for name, points in panel.series.items():
                add_line(axes, style, name, points, marker="")
                if panel.filled and points:
                    x, y = zip(*points, strict=True)
                    axes.fill_between(x, y, color=style.colour(name), alpha=0.13, linewidth=0)
            is_last = number == len(panels) - 1
            draw_markers(axes, markers if number == 0 else [(at, "") for at, _ in markers], style)
            label_axes(axes, x_label if is_last else "", panel.y_label)
            axes.tick_params(labelbottom=is_last)
            axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
            axes.set_ylim(bottom=0)
            label_line_ends(axes, panel.series, style)
        return drawing

    return draw_figure(title, caption, tones, draw)


def _names_at_edge(panels: Sequence[Panel]) -> list[str]:
    """Return the names that need space beside the panels: the label of a line that ends early fits into its panel."""
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
    """Draw horizontal bars in groups: group → name → value in the unit of `y_label`; None is shown as a dash."""

    def draw(style: PlotStyle) -> Drawing:
        count = sum(len(values) for values in groups.values())
        drawing, (axes,) = create_panels(
            [ROW_HEIGHT * (count + 0.7 * len(groups))], left_margin=label_width(groups), bottom_margin=0.05
        )
        row, ticks = 0.0, []
        several = len({name for values in groups.values() for name in values}) > 1
        for group, values in groups.items():
            ticks.append((row + (len(values) - 1) / 2, group))
            for name, value in values.items():
                axes.barh(row, value or 0, height=0.72, color=style.colour(name), linewidth=0)
                label = ("–" if value is None else format_value(value)) + (f"  {name}" if several else "")
                axes.annotate(label, (value or 0, row), (5, 0), textcoords="offset points", va="center_baseline")
                row += 1
            row += 0.7
        axes.set_yticks([tick for tick, _ in ticks], [group for _, group in ticks])
        axes.invert_yaxis()
        axes.margins(x=0.18, y=0.02)
        axes.spines["bottom"].set_visible(False)
        axes.grid(visible=False)
        axes.tick_params(bottom=False, labelbottom=False, left=False, labelcolor=TEXT_COLOUR[style.theme])
        if log_scale:
            axes.set_xscale("log")
        label_axes(axes, "", y_label, left_margin=0)
        return drawing

    return draw_figure(title, caption, tones, draw)
