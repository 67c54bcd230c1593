"""Plots are drawn once for each kind of page, alike every time."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from defusedxml import ElementTree

from poolproof.lab.reporting import plots
from poolproof.lab.reporting.plots import Panel
from poolproof.lab.reporting.report import Figure

RISING = [(1, 10.0), (2, 20.0), (4, 30.0), (8, 25.0)]


def sizes() -> Figure:
    return plots.plot_lines(
        "Throughput", "connections", "answers a second", {"measured": RISING, "fit < all": RISING},
        bands={"measured": [(x, y - 2, y + 2) for x, y in RISING]}, markers=[(4, "the knee")], log_x=True,
        caption="So.",
    )  # fmt: skip


def push() -> Figure:
    panels = [Panel("waiting", {"theirs": RISING, "ours": RISING}, filled=True), Panel("errors", {"theirs": RISING})]
    return plots.plot_timeline("The push", "seconds", panels, markers=[(2, "here")], tones={"theirs": "wrong"})


def work() -> Figure:
    return plots.plot_bars("Work", "units a second", {"QueuePool": {"rate": 2031.2}, "StaticPool": {"rate": None}})


@pytest.mark.parametrize("draw", [sizes, push, work])
def test_a_figure_is_whole_svg_and_alike_every_time(draw: Callable[[], Figure]) -> None:
    figure = draw()
    for svg in (figure.svg_light, figure.svg_dark):
        assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert draw() == figure


def test_the_words_of_a_plot_are_text_that_can_be_read() -> None:
    labels = texts(sizes().svg_light)
    assert {"connections", "answers a second", "measured", "fit < all", "the knee", "1", "8"} <= labels
    assert {"waiting", "errors", "theirs", "ours", "here"} <= texts(push().svg_light)
    assert {"QueuePool", "2,031", "StaticPool", "–"} <= texts(work().svg_light)


def test_light_and_dark_differ_in_nothing_but_colours() -> None:
    colourless = [re.sub(r"#[0-9a-f]{6}", "", svg) for svg in (push().svg_light, push().svg_dark)]
    shapes = [re.findall(r' d="([^"]*)"', svg) for svg in colourless]
    assert shapes[0] == shapes[1]
    assert push().svg_light != push().svg_dark


def test_names_at_the_ends_of_lines_do_not_overlap() -> None:
    same = {name: [(0, 0.0), (1, 5.0)] for name in ("one", "two", "three")}
    svg = plots.plot_lines("Same", "x", "y", same).svg_light
    heights = sorted(float(y) for y, _ in names(svg))
    assert len(heights) == 3
    assert all(below - above > 10 for above, below in pairwise(heights))


def test_a_name_keeps_its_colour_in_all_panels_and_can_be_given_one() -> None:
    assert [colour for _, colour in names(push().svg_light)] == ["#0b6b87", "#a9261e", "#a9261e"]
    assert [colour for _, colour in names(push().svg_dark)] == ["#63c7e2", "#ff9f95", "#ff9f95"]


def test_a_line_without_points_and_a_figure_without_lines_can_be_drawn() -> None:
    assert "<svg" in plots.plot_lines("None", "x", "y", {"nothing": []}).svg_light
    assert "<svg" in plots.plot_timeline("None", "x", [Panel("y", {"nothing": []}, filled=True)]).svg_light


def texts(svg: str) -> set[str | None]:
    return {element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}


def names(svg: str) -> list[tuple[str, str]]:
    """Height and colour of each name at a line's end, from the lowest up within a panel."""
    matches = re.findall(r'<text style="font-weight: 700;[^"]*fill: (#\w+)"[^>]* y="([\d.]+)"', svg)
    return [(y, colour) for colour, y in matches]
