"""A report of the lab, stored as one HTML page and one JSON file. Does not import a plotting library."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from poolproof.lab.reporting.environment_info import describe_environment

TEMPLATES = Path(__file__).resolve().parent / "templates"
REPORTS_FOLDER = "reports"
"""Default folder of the reports, in the instance folder."""
Cell = str | float | int | None
Grade = Literal["", "good", "bad"]


@dataclass(frozen=True)
class Table:
    """Rows of names and numbers; None is shown as a dash."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """A plot, drawn for a light and for a dark page (poolproof/lab/reporting/plots.py)."""

    title: str
    svg_light: str
    svg_dark: str
    caption: str = ""


@dataclass(frozen=True)
class LabReport:
    """The results of one run."""

    kind: str
    """size, strategies, incident, drill or push."""
    title: str
    verdict: str
    """The result in one or two sentences."""
    findings: tuple[str, ...]
    command: str
    """Command line that repeats the run."""
    settings: str = ""
    """Lines to paste into the environment."""
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    """Everything measured, in types that JSON has."""
    rows: tuple[Mapping[str, Any], ...] = ()
    """The same as flat rows, for a spreadsheet."""
    is_complete: bool = True
    """False when the run was stopped and the report has only what had been measured until then."""
    grade: Grade = ""
    """Decides the colour of the verdict."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Machine, libraries, database, configuration; determined when the report is stored, if it is empty."""
    at: str = ""
    """When it was stored, in UTC."""


@dataclass(frozen=True)
class StoredReport:
    """A report in a folder; `name` is what `poolproof lab compare` takes."""

    name: str
    kind: str
    title: str
    verdict: str
    at: str


class NoSuchReportError(Exception):
    """There is no report of this name, or it cannot be read."""


def save_report(report: LabReport, folder: Path) -> Path:
    """Store a report as `<UTC time>-<kind>.html` and `.json`; return the page's path."""
    now = datetime.now(UTC)
    complete = replace(
        report,
        environment=report.environment or describe_environment(),
        at=report.at or now.isoformat(sep=" ", timespec="seconds").removesuffix("+00:00") + " UTC",
    )
    folder.mkdir(parents=True, exist_ok=True)
    page = unused_path(folder, f"{now:%Y%m%dT%H%M%SZ}-{report.kind}")
    page.with_suffix(".json").write_text(json.dumps(as_json(complete), indent=1, default=str), encoding="utf-8")
    page.write_text(as_html(complete), encoding="utf-8")
    return page


def unused_path(folder: Path, stem: str) -> Path:
    """Return a path that does not exist yet: two reports of one second must not replace each other."""
    number = 1
    path = folder / f"{stem}.html"
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.html"
    return path


def as_json(report: LabReport, *, figures: bool = True) -> dict[str, Any]:
    """Return a report in types that JSON has, with the drawings of its figures or without."""
    values = asdict(report)
    if not figures:
        values["figures"] = [{"title": figure.title, "caption": figure.caption} for figure in report.figures]
    return values


def list_reports(folder: Path) -> list[StoredReport]:
    """Return the reports of a folder, newest first; other files are ignored."""
    stored = []
    for path in sorted(folder.glob("*.json"), reverse=True):
        try:
            report = load_report(folder, path.stem)
        except NoSuchReportError:
            continue
        stored.append(StoredReport(path.stem, report.kind, report.title, report.verdict, report.at))
    return stored


def load_report(folder: Path, name: str) -> LabReport:
    """Return a stored report by its name, or by the path of its page or its JSON.

    Raises:
        NoSuchReportError: when there is none.
    """
    stem = name.removesuffix(".html").removesuffix(".json")
    path = Path(f"{stem}.json") if "/" in stem else folder / f"{stem}.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        tables = tuple(
            Table(table["title"], tuple(table["columns"]), tuple(map(tuple, table["rows"])), table["note"])
            for table in values["tables"]
        )
        figures = tuple(Figure(**figure) for figure in values["figures"])
        lists = {name: tuple(values[name]) for name in ("findings", "rows")}
        return LabReport(**{**values, **lists, "tables": tables, "figures": figures})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NoSuchReportError(f"There is no report {name} in {path.parent}.") from error


def as_html(report: LabReport) -> str:
    """Return the page of a report: one file that refers to no other."""
    measured = {"data": report.data, "rows": report.rows}
    return render_page(
        "report.html", report=report, raw=json.dumps(measured, indent=1, default=str), csv=as_csv(report.rows)
    )


def render_page(template: str, **values: Any) -> str:
    """Render a template of the lab; all values are escaped."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.filters.update(
        format_value=format_value, data_url=_data_url, is_number=lambda value: isinstance(value, int | float)
    )
    return environment.get_template(template).render(**values)


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return flat rows as CSV with one column for every name that occurs."""
    if not rows:
        return ""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def format_value(value: Cell) -> str:
    """Return a number with about three significant digits."""
    if value is None:
        return "–"
    if isinstance(value, str | bool):
        return str(value)
    if isinstance(value, int) or value == 0 or abs(value) >= 100:  # noqa: PLR2004
        return f"{value:,.0f}"
    digits = 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3  # noqa: PLR2004
    return f"{value:,.{digits}f}"


def _data_url(content: str, kind: str) -> str:
    """Return the content as a data: URL, so that the page refers to no other file."""
    return f"data:{kind};charset=utf-8,{quote(content)}"
