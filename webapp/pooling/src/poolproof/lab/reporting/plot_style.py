"""What all plots of the lab share: colours, fonts, margins for labels, and SVG from matplotlib."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from poolproof.lab.reporting.report import Figure

Tone = Literal["accent", "wrong", "others", "warning", "right", "quiet"]
Points = Sequence[tuple[float, float]]
# The palette of the service's own pages.
TONES: Mapping[Tone, tuple[str, str]] = {
    "accent": ("#0b6b87", "#63c7e2"),
    "wrong": ("#a9261e", "#ff9f95"),
    "others": ("#7a57a3", "#b79bdc"),
    "warning": ("#8a5a00", "#f2c264"),
    "right": ("#0f6b39", "#74d8a1"),
    "quiet": ("#52656e", "#9fb2ba"),
}
BACKGROUND = ("#ffffff", "#152329")
TEXT_COLOUR, MUTED_COLOUR, GRID_COLOUR = ("#12222a", "#e7eff2"), ("#52656e", "#9fb2ba"), ("#d3dee2", "#2c3f48")
# Lines are not distinguished by colour alone: each has its name at its end, and each tone has a dash.
DASHES: Sequence[Any] = ("-", (0, (5, 2)), (0, (1.2, 1.5)), (0, (7, 2, 1.2, 2)), (0, (3, 1.2)), (0, (9, 3)))
WIDTH, HEIGHT, PANEL_HEIGHT, ROW_HEIGHT, LEFT_MARGIN = 7.6, 3.2, 1.25, 0.27, 0.55
TOP_MARGIN, BOTTOM_MARGIN = 0.42, 0.55
"""Inches: above each panel, for the label of its axis, and below the last panel."""
POINT_SIZE = 10.5
LETTER_WIDTH = 0.56
"""Mean width of a letter, as a share of its height."""
LABEL_SPACING = 1.35
"""Distance of two labels at the ends of lines, as a multiple of the height of a letter."""
FONT_FAMILY = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"
LABEL_OUTLINE = "stroke-width: 3px; stroke-linejoin: round;"
LIGHT, DARK = 0, 1


@dataclass(frozen=True)
class PlotStyle:
    """The colours of a drawing: the tone of each name, and the theme of the page."""

    tones: Mapping[str, Tone]
    """Tones of some names; every other name gets one that is not used yet."""
    theme: int
    assigned_names: list[str] = field(default_factory=list)

    def colour(self, name: str) -> str:
        """Return a name's colour; it is the same wherever the name occurs in one figure."""
        return TONES[self._tone(name)][self.theme]

    def dash(self, name: str) -> Any:
        """Return the dash of a name's tone."""
        return DASHES[list(TONES).index(self._tone(name))]

    def _tone(self, name: str) -> Tone:
        if name in self.tones:
            return self.tones[name]
        if name not in self.assigned_names:
            self.assigned_names.append(name)
        free = [tone for tone in TONES if tone not in self.tones.values()] or list(TONES)
        return free[self.assigned_names.index(name) % len(free)]


def draw_figure(
    title: str, caption: str, tones: Mapping[str, Tone] | None, draw: Callable[[PlotStyle], Drawing]
) -> Figure:
    """Draw the same figure for a light and for a dark page."""
    light, dark = (_as_svg(draw, PlotStyle(tones or {}, page), title) for page in (LIGHT, DARK))
    return Figure(title, light, dark, caption)


@contextmanager
def _rc_context(theme: int, salt: str) -> Iterator[None]:
    """Set colours, fonts and lines; with the same `salt`, the same drawing gives the same SVG text."""
    with mpl.rc_context(
        {
            "svg.fonttype": "none", "svg.hashsalt": salt, "font.family": "DejaVu Sans", "font.size": POINT_SIZE,
            "text.color": TEXT_COLOUR[theme], "axes.labelcolor": MUTED_COLOUR[theme], "xtick.color": GRID_COLOUR[theme],
            "ytick.color": GRID_COLOUR[theme], "xtick.labelcolor": MUTED_COLOUR[theme],
            "ytick.labelcolor": MUTED_COLOUR[theme],
            "axes.edgecolor": GRID_COLOUR[theme], "axes.spines.top": False, "axes.spines.right": False,
            "axes.spines.left": False, "axes.grid": True, "axes.grid.axis": "y", "grid.color": GRID_COLOUR[theme],
            "grid.linewidth": 0.8, "axes.axisbelow": True, "ytick.major.size": 0, "figure.facecolor": "none",
            "axes.facecolor": "none", "axes.xmargin": 0.02, "lines.linewidth": 2.0, "lines.markersize": 4.5,
            "lines.solid_capstyle": "round", "path.simplify": True, "axes.formatter.useoffset": False,
        }
    ):  # fmt: skip
        yield


def _as_svg(draw: Callable[[PlotStyle], Drawing], style: PlotStyle, title: str) -> str:
    out = io.StringIO()
    with _rc_context(style.theme, f"{title}{style.theme}"):
        drawing = draw(style)
        FigureCanvasSVG(drawing)
        drawing.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    # Use the reader's system font: it is narrower than the font with which widths were measured.
    text = re.sub(r"'DejaVu Sans'[^\";]*", FONT_FAMILY, text)
    # An outline keeps a label readable where a line crosses it.
    text = text.replace(
        "font-weight: 700;",
        f"font-weight: 700; paint-order: stroke; stroke: {BACKGROUND[style.theme]}; {LABEL_OUTLINE}",
    )
    return text[text.index("<svg") :]


def create_panels(
    heights: Sequence[float],
    *,
    left_margin: float = LEFT_MARGIN,
    right_margin: float = 0.2,
    bottom_margin: float = BOTTOM_MARGIN,
) -> tuple[Drawing, list[Axes]]:
    """Return a drawing with panels of these heights and margins, in inches."""
    height = sum(heights) + TOP_MARGIN * len(heights) + bottom_margin
    # 72: SVG counts in points.
    drawing = Drawing(figsize=(WIDTH, height), dpi=72)
    ratios = {"height_ratios": list(heights), "hspace": TOP_MARGIN * len(heights) / sum(heights)}
    rows = drawing.subplots(len(heights), 1, sharex=True, squeeze=False, gridspec_kw=ratios)
    drawing.subplots_adjust(
        left=left_margin / WIDTH,
        right=1 - right_margin / WIDTH,
        top=1 - TOP_MARGIN / height,
        bottom=bottom_margin / height,
    )
    return drawing, [cast("Axes", row[0]) for row in rows]


def label_width(names: Iterable[str]) -> float:
    """Return the width of the longest of these names, in inches."""
    return max(map(len, names), default=0) * LETTER_WIDTH * POINT_SIZE / 72 + 0.2


def add_line(axes: Axes, style: PlotStyle, name: str, points: Points, marker: str) -> None:
    """Add a line in the style of its name; nothing when there are no points."""
    if points:
        x, y = zip(*points, strict=True)
        axes.plot(x, y, color=style.colour(name), linestyle=style.dash(name), marker=marker)


def set_scales(axes: Axes, *, log_x: bool, log_y: bool, x: Sequence[float]) -> None:
    """Set linear or logarithmic scales; a logarithmic x axis has a tick at each of the points."""
    if log_x:
        axes.set_xscale("log")
        axes.set_xticks(sorted(set(x)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if log_y:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def label_axes(axes: Axes, x_label: str, y_label: str, left_margin: float = LEFT_MARGIN) -> None:
    """Label the axes; the label of the y axis is horizontal and stands above it."""
    axes.set_xlabel(x_label, labelpad=6)
    axes.annotate(
        y_label, (0, 1), (-left_margin * 72, 8), xycoords="axes fraction", textcoords="offset points", va="bottom",
        color=mpl.rcParams["axes.labelcolor"], annotation_clip=False,
    )  # fmt: skip


def draw_markers(axes: Axes, markers: Sequence[tuple[float, str]], style: PlotStyle) -> None:
    """Draw vertical lines, each with its label."""
    for x, label in markers:
        axes.axvline(x, color=MUTED_COLOUR[style.theme], linewidth=1, linestyle=(0, (2, 3)))
        if label:
            axes.annotate(
                label, (x, 1), (4, -2), xycoords=("data", "axes fraction"), textcoords="offset points", va="top",
                fontsize=POINT_SIZE - 1, color=MUTED_COLOUR[style.theme],
            )  # fmt: skip


def label_line_ends(axes: Axes, series: Mapping[str, Points], style: PlotStyle) -> None:
    """Write each line's name at its end; names that would overlap are moved apart."""
    ends = [(axes.transData.transform(points[-1])[1], name) for name, points in series.items() if points]
    # Start below the x axis: the first name may stand half a letter above it.
    y = axes.transAxes.transform((0, 0))[1] + (0.5 - LABEL_SPACING) * POINT_SIZE
    for end, name in sorted(ends):
        y = max(y + POINT_SIZE * LABEL_SPACING, end)
        axes.annotate(
            name, series[name][-1], (8, y - end), textcoords="offset points", va="center_baseline",
            color=style.colour(name), fontweight="bold", annotation_clip=False,
        )  # fmt: skip
