"""Two reports side by side: verdicts, figures, and tables joined by their first column, with ratios."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from poolproof.lab.reporting.report import Cell, Figure, LabReport, Table, render_page, unused_path


@dataclass(frozen=True)
class ReportPair:
    """Two reports that are compared."""

    left: LabReport
    right: LabReport


def joined_tables(pair: ReportPair) -> list[Table]:
    """Return the tables that both have, by title; rows by their first column, in the left one's order."""
    right = {table.title: table for table in pair.right.tables}
    return [_join_tables(table, right[table.title]) for table in pair.left.tables if table.title in right]


def _join_tables(left: Table, right: Table) -> Table:
    shared = [name for name in left.columns[1:] if name in right.columns[1:]]
    rows = []
    for key in dict.fromkeys(str(row[0]) for table in (left, right) for row in table.rows):
        cells: list[Cell] = []
        for name in shared:
            pair = _find_cell(left, key, name), _find_cell(right, key, name)
            cells += [*pair, ratio(*pair)]
        rows.append((key, *cells))
    columns = (f"{name}{side}" for name in shared for side in (", left", ", right", ", right ÷ left"))
    return Table(left.title, (left.columns[0], *columns), tuple(rows))


def _find_cell(table: Table, key: str, column: str) -> Cell:
    index = table.columns.index(column)
    return next((row[index] for row in table.rows if str(row[0]) == key), None)


def ratio(left: Cell, right: Cell) -> float | None:
    """Return how many times the left number the right one is; None where that means nothing."""
    if isinstance(left, str) or isinstance(right, str) or not left or right is None:
        return None
    return right / left


def paired_figures(pair: ReportPair) -> list[tuple[Figure | None, Figure | None]]:
    """Return the figures in pairs by title; None stands for a figure that only the other report has."""
    right = {figure.title: figure for figure in pair.right.figures}
    pairs: list[tuple[Figure | None, Figure | None]] = [
        (figure, right.pop(figure.title, None)) for figure in pair.left.figures
    ]
    return pairs + [(None, figure) for figure in right.values()]


def environment_table(pair: ReportPair) -> Table:
    """Return where each was measured, and say where the two environments differ."""
    left, right = pair.left.environment, pair.right.environment
    names = dict.fromkeys([*left, *right])
    rows = tuple((name, left.get(name), right.get(name)) for name in names)
    differing = [str(row[0]) for row in rows if row[1] != row[2]]
    note = f"They differ in: {', '.join(differing)}." if differing else "Both were measured in the same environment."
    return Table("Where they were measured", ("", "left", "right"), rows, note)


def as_html(pair: ReportPair) -> str:
    """Return the page of a comparison."""
    title = f"Two runs of poolproof lab {pair.left.kind}" if pair.left.kind == pair.right.kind else "Two reports"
    sides = [(f"left: {pair.left.at}", pair.left), (f"right: {pair.right.at}", pair.right)]
    return render_page(
        "comparison.html",
        title=title,
        sides=sides,
        figures=paired_figures(pair),
        tables=joined_tables(pair),
        environment=environment_table(pair),
    )


def save_comparison(pair: ReportPair, folder: Path) -> Path:
    """Store a comparison as `<UTC time>-comparison.html`; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    page = unused_path(folder, f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-comparison")
    page.write_text(as_html(pair), encoding="utf-8")
    return page
