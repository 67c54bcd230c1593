"""Draws README's plot of a push from the file that `bench/push.py --json` has written.

`PYTHONPATH=. python bench/plot.py FIGURES PLOT.svg`
"""

from __future__ import annotations

import argparse
from html import escape
from pathlib import Path

from bench import push

NAMES = {
    "flask_orm": "Flask-SQLAlchemy, defaults",
    "fastapi": "FastAPI, async SQLAlchemy",
    "django": "Django, persistent connections",
    "poolproof": "Poolproof",
}
LEFT, WIDTH, ROW, BAR = 250, 760, 44, 22
STYLE = (
    "text{font:15px system-ui,sans-serif;fill:#1d2733}.note{font-size:13px;fill:#5b6875}"
    ".bar{fill:#9aa7b5}.ours{fill:#0f7b5f}"
    "@media(prefers-color-scheme:dark){text{fill:#e6ebf0}.note{fill:#9aa7b5}.bar{fill:#5b6875}.ours{fill:#3ecf9f}}"
)


def plot(seconds: dict[str, float], connections: dict[str, float]) -> str:
    """Return the bars as SVG, the longest first."""
    order = sorted(seconds, key=lambda name: -seconds[name])
    scale = (WIDTH - LEFT - 215) / max(seconds.values())
    rows = []
    for number, name in enumerate(order):
        top, length = 56 + number * ROW, max(2.0, seconds[name] * scale)
        label = f"{seconds[name]:.1f} s, {connections[name]:.0f} connections"
        style_class = "ours" if name == "poolproof" else "bar"
        rows += [
            f'<text x="{LEFT - 12}" y="{top + 16}" text-anchor="end">{escape(NAMES[name])}</text>',
            f'<rect class="{style_class}" x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR}" rx="3"/>',
            f'<text x="{LEFT + length + 10:.1f}" y="{top + 16}">{label}</text>',
        ]
    height = 66 + len(order) * ROW
    title = "2,000 people open one quiz within a second, answer it and finish: until the last one is done"
    box = f'viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>'
        f'<style>{STYLE}</style><text class="note" x="12" y="28">{escape(title)}</text>{"".join(rows)}</svg>\n'
    )


def draw(figures: Path, target: Path) -> None:
    """Write the plot of the medians of stored figures."""
    medians = {name: median for name, median in push.load_medians(figures.read_text()).items() if name in NAMES}
    seconds = {name: median.push for name, median in medians.items()}
    target.write_text(plot(seconds, {name: median.connections for name, median in medians.items()}))


def main() -> None:
    """Read the figures and write the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", type=Path)
    parser.add_argument("plot", type=Path)
    options = parser.parse_args()
    draw(options.figures, options.plot)


if __name__ == "__main__":
    main()
