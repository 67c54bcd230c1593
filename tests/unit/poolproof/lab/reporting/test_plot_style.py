from __future__ import annotations

from matplotlib.figure import Figure as Drawing

from poolproof.lab.reporting.plot_style import PlotStyle, add_line, create_panels, draw_figure


def test_a_figure_is_drawn_for_light_and_dark_pages_and_alike_each_time() -> None:
    def draw(style: PlotStyle) -> Drawing:
        drawing, (axes,) = create_panels([2.0])
        add_line(axes, style, "a line", [(1.0, 1.0), (2.0, 4.0)], marker="o")
        return drawing

    first, second = (draw_figure("Rising", "A line.", None, draw) for _ in range(2))
    assert first == second
    assert first.svg_light != first.svg_dark
    assert first.svg_light.startswith("<svg")
