"""README's plot of a push, from the file that `bench/push.py --json` wrote.

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
        said = f"{seconds[name]:.1f} s, {connections[name]:.0f} connections"
        look = "ours" if name == "poolproof" else "bar"
        rows += [
            f'<text x="{LEFT - 12}" y="{top + 16}" text-anchor="end">{escape(NAMES[name])}</text>',
            f'<rect class="{look}" x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR}" rx="3"/>',
            f'<text x="{LEFT + length + 10:.1f}" y="{top + 16}">{said}</text>',
        ]
    height = 66 + len(order) * ROW
    title = "2,000 people open one quiz within a second, answer it and finish: until the last one is through"
    box = f'viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>'
        f'<style>{STYLE}</style><text class="note" x="12" y="28">{escape(title)}</text>{"".join(rows)}</svg>\n'
    )


def draw(figures: Path, to: Path) -> None:
    """Write the plot of what was kept."""
    of = {name: one for name, one in push.kept(figures.read_text()).items() if name in NAMES}
    to.write_text(
        plot({name: one.push for name, one in of.items()}, {name: one.connections for name, one in of.items()})
    )


def main() -> None:
    """Read the figures, write the plot."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("figures", type=Path)
    arguments.add_argument("plot", type=Path)
    given = arguments.parse_args()
    draw(given.figures, given.plot)


if __name__ == "__main__":
    main()
