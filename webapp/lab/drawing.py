"""What all plots of the lab share: palette, typeface, room for words, and SVG out of matplotlib."""

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

from webapp.lab.reporting import Figure

Tone = Literal["accent", "wrong", "others", "look", "right", "quiet"]
Points = Sequence[tuple[float, float]]
# The palette of the service's own pages.
TONES: Mapping[Tone, tuple[str, str]] = {
    "accent": ("#0b6b87", "#63c7e2"),
    "wrong": ("#a9261e", "#ff9f95"),
    "others": ("#7a57a3", "#b79bdc"),
    "look": ("#8a5a00", "#f2c264"),
    "right": ("#0f6b39", "#74d8a1"),
    "quiet": ("#52656e", "#9fb2ba"),
}
PAPER = ("#ffffff", "#152329")
INK, QUIET, LINE = ("#12222a", "#e7eff2"), ("#52656e", "#9fb2ba"), ("#d3dee2", "#2c3f48")
# Nobody has to tell lines apart by colour alone: each has its name at its end, and each tone has a dash.
DASHES: Sequence[Any] = ("-", (0, (5, 2)), (0, (1.2, 1.5)), (0, (7, 2, 1.2, 2)), (0, (3, 1.2)), (0, (9, 3)))
WIDTH, HEIGHT, PANEL, ROW, LEFT = 7.6, 3.2, 1.25, 0.27, 0.55
ABOVE, BELOW = 0.42, 0.55
"""Inches: above each panel, for what its axis says, and below the last."""
POINT_SIZE = 10.5
LETTER = 0.56
"""Width of a letter on the average, of its height."""
NAME_GAP = 1.35
"""Of the height of a letter: between two names at the ends of lines."""
FACES = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"
HALO = "stroke-width: 3px; stroke-linejoin: round;"
LIGHT, DARK = 0, 1


@dataclass(frozen=True)
class Look:
    """How a drawing is coloured: which tone a name has, and for which page it is drawn."""

    tones: Mapping[str, Tone]
    """Given ones; every other name gets one that is still free."""
    page: int
    names: list[str] = field(default_factory=list)

    def colour(self, name: str) -> str:
        """Return a name's colour; the same wherever the name occurs in one figure."""
        return TONES[self._tone(name)][self.page]

    def dash(self, name: str) -> Any:
        """Return the dash of a name's tone."""
        return DASHES[list(TONES).index(self._tone(name))]

    def _tone(self, name: str) -> Tone:
        if name in self.tones:
            return self.tones[name]
        if name not in self.names:
            self.names.append(name)
        free = [tone for tone in TONES if tone not in self.tones.values()] or list(TONES)
        return free[self.names.index(name) % len(free)]


def figure(title: str, caption: str, tones: Mapping[str, Tone] | None, draw: Callable[[Look], Drawing]) -> Figure:
    """Draw the same for both pages."""
    light, dark = (_as_svg(draw, Look(tones or {}, page), title) for page in (LIGHT, DARK))
    return Figure(title, light, dark, caption)


@contextmanager
def _style(page: int, salt: str) -> Iterator[None]:
    """Set how everything looks; `salt` makes the same drawing the same text, every time."""
    with mpl.rc_context(
        {
            "svg.fonttype": "none", "svg.hashsalt": salt, "font.family": "DejaVu Sans", "font.size": POINT_SIZE,
            "text.color": INK[page], "axes.labelcolor": QUIET[page], "xtick.color": LINE[page],
            "ytick.color": LINE[page], "xtick.labelcolor": QUIET[page], "ytick.labelcolor": QUIET[page],
            "axes.edgecolor": LINE[page], "axes.spines.top": False, "axes.spines.right": False,
            "axes.spines.left": False, "axes.grid": True, "axes.grid.axis": "y", "grid.color": LINE[page],
            "grid.linewidth": 0.8, "axes.axisbelow": True, "ytick.major.size": 0, "figure.facecolor": "none",
            "axes.facecolor": "none", "axes.xmargin": 0.02, "lines.linewidth": 2.0, "lines.markersize": 4.5,
            "lines.solid_capstyle": "round", "path.simplify": True, "axes.formatter.useoffset": False,
        }
    ):  # fmt: skip
        yield


def _as_svg(draw: Callable[[Look], Drawing], look: Look, title: str) -> str:
    out = io.StringIO()
    with _style(look.page, f"{title}{look.page}"):
        drawing = draw(look)
        FigureCanvasSVG(drawing)
        drawing.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    # The reader's own typeface: it is narrower than the one that has been measured with, so nothing overlaps.
    text = re.sub(r"'DejaVu Sans'[^\";]*", FACES, text)
    # A name stays readable where a line runs through it.
    text = text.replace(
        "font-weight: 700;", f"font-weight: 700; paint-order: stroke; stroke: {PAPER[look.page]}; {HALO}"
    )
    return text[text.index("<svg") :]


def sheet(
    heights: Sequence[float], *, left: float = LEFT, right: float = 0.2, below: float = BELOW
) -> tuple[Drawing, list[Axes]]:
    """Return a drawing of as many panels, of so many inches each, and with so much room beside and below them."""
    height = sum(heights) + ABOVE * len(heights) + below
    # 72: SVG counts in points.
    drawing = Drawing(figsize=(WIDTH, height), dpi=72)
    ratios = {"height_ratios": list(heights), "hspace": ABOVE * len(heights) / sum(heights)}
    found = drawing.subplots(len(heights), 1, sharex=True, squeeze=False, gridspec_kw=ratios)
    drawing.subplots_adjust(left=left / WIDTH, right=1 - right / WIDTH, top=1 - ABOVE / height, bottom=below / height)
    return drawing, [cast("Axes", row[0]) for row in found]


def room(names: Iterable[str]) -> float:
    """Return the inches that the longest of these names needs beside an axis."""
    return max(map(len, names), default=0) * LETTER * POINT_SIZE / 72 + 0.2


def add_line(axes: Axes, look: Look, name: str, points: Points, marker: str) -> None:
    """Add a line with the look of its name; one without points is not there."""
    if points:
        x, y = zip(*points, strict=True)
        axes.plot(x, y, color=look.colour(name), linestyle=look.dash(name), marker=marker)


def scale(axes: Axes, *, log_x: bool, log_y: bool, x: Sequence[float]) -> None:
    """Set how the axes count; an axis of powers has a tick at each of the points."""
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


def label_axes(axes: Axes, x_label: str, y_label: str, left: float = LEFT) -> None:
    """Say what the axes count: the upright one above it, to be read without turning the head."""
    axes.set_xlabel(x_label, labelpad=6)
    axes.annotate(
        y_label, (0, 1), (-left * 72, 8), xycoords="axes fraction", textcoords="offset points", va="bottom",
        color=mpl.rcParams["axes.labelcolor"], annotation_clip=False,
    )  # fmt: skip


def mark(axes: Axes, marks: Sequence[tuple[float, str]], look: Look) -> None:
    """Draw upright lines, each with its word."""
    for at, word in marks:
        axes.axvline(at, color=QUIET[look.page], linewidth=1, linestyle=(0, (2, 3)))
        if word:
            axes.annotate(
                word, (at, 1), (4, -2), xycoords=("data", "axes fraction"), textcoords="offset points", va="top",
                fontsize=POINT_SIZE - 1, color=QUIET[look.page],
            )  # fmt: skip


def name_ends(axes: Axes, series: Mapping[str, Points], look: Look) -> None:
    """Write each line's name where it ends, moved apart where they would overlap."""
    ends = [(axes.transData.transform(points[-1])[1], name) for name, points in series.items() if points]
    # Not on the line that all stand on, and not on each other.
    at = axes.transAxes.transform((0, 0))[1] + (0.5 - NAME_GAP) * POINT_SIZE
    for end, name in sorted(ends):
        at = max(at + POINT_SIZE * NAME_GAP, end)
        axes.annotate(
            name, series[name][-1], (8, at - end), textcoords="offset points", va="center_baseline",
            color=look.colour(name), fontweight="bold", annotation_clip=False,
        )  # fmt: skip
