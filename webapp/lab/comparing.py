"""Two reports side by side: verdicts, figures, and tables joined by their first column, with ratios."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from webapp.lab import reporting
from webapp.lab.reporting import Cell, Figure, Report, Table


@dataclass(frozen=True)
class Sides:
    """What is compared."""

    left: Report
    right: Report


def tables(sides: Sides) -> list[Table]:
    """Return the tables that both have, by title; rows by their first column, in the left one's order."""
    others = {one.title: one for one in sides.right.tables}
    return [_joined(one, others[one.title]) for one in sides.left.tables if one.title in others]


def _joined(left: Table, right: Table) -> Table:
    shared = [name for name in left.columns[1:] if name in right.columns[1:]]
    rows = []
    for key in dict.fromkeys(str(row[0]) for table in (left, right) for row in table.rows):
        cells: list[Cell] = []
        for name in shared:
            pair = _cell(left, key, name), _cell(right, key, name)
            cells += [*pair, ratio(*pair)]
        rows.append((key, *cells))
    columns = (f"{name}{what}" for name in shared for what in (", left", ", right", ", right ÷ left"))
    return Table(left.title, (left.columns[0], *columns), tuple(rows))


def _cell(table: Table, key: str, column: str) -> Cell:
    at = table.columns.index(column)
    return next((row[at] for row in table.rows if str(row[0]) == key), None)


def ratio(left: Cell, right: Cell) -> float | None:
    """Return how many times the left number the right one is; None where that means nothing."""
    if isinstance(left, str) or isinstance(right, str) or not left or right is None:
        return None
    return right / left


def figures(sides: Sides) -> list[tuple[Figure | None, Figure | None]]:
    """Return the figures in pairs: by title, and what only one of the two has beside nothing."""
    others = {one.title: one for one in sides.right.figures}
    pairs: list[tuple[Figure | None, Figure | None]] = [
        (one, others.pop(one.title, None)) for one in sides.left.figures
    ]
    return pairs + [(None, one) for one in others.values()]


def environment(sides: Sides) -> Table:
    """Return where each was measured, so that nobody compares two machines by mistake."""
    left, right = sides.left.environment, sides.right.environment
    names = dict.fromkeys([*left, *right])
    rows = tuple((name, left.get(name), right.get(name)) for name in names)
    differing = [str(row[0]) for row in rows if row[1] != row[2]]
    note = f"They differ in: {', '.join(differing)}." if differing else "Both were measured on the same."
    return Table("Where they were measured", ("", "left", "right"), rows, note)


def as_html(sides: Sides) -> str:
    """Return the page of a comparison."""
    both = [sides.left, sides.right]
    names = [f"{side}: {one.at}" for side, one in zip(("left", "right"), both, strict=True)]
    title = f"Two runs of poolproof lab {sides.left.kind}" if sides.left.kind == sides.right.kind else "Two reports"
    return reporting.page(
        "comparison.html", both=list(zip(names, both, strict=True)), figures=figures(sides), tables=tables(sides),
        environment=environment(sides), title=title,
    )  # fmt: skip


def write(sides: Sides, folder: Path) -> Path:
    """Keep a comparison as `<UTC time>-comparison.html`; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    page = reporting.free_name(folder, f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-comparison")
    page.write_text(as_html(sides), encoding="utf-8")
    return page
