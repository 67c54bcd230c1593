"""What a run of the lab has found, kept as one page of HTML and one file of JSON. Knows no plotting library."""

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

from webapp.lab.reporting.environment_info import describe_environment

TEMPLATES = Path(__file__).resolve().parents[2] / "templates" / "lab"
REPORTS_FOLDER = "reports"
"""Below the instance folder, where no other one is named."""
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
    """A plot, drawn for a light and for a dark page (webapp/lab/reporting/plots.py)."""

    title: str
    svg_light: str
    svg_dark: str
    caption: str = ""


@dataclass(frozen=True)
class LabReport:
    """What a run has found."""

    kind: str
    """size, strategies, incident, drill or push."""
    title: str
    verdict: str
    """One or two sentences: what was found, in plain words."""
    findings: tuple[str, ...]
    command: str
    """What repeats it."""
    settings: str = ""
    """Lines to paste into the environment."""
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    """Everything measured, as JSON takes it."""
    rows: tuple[Mapping[str, Any], ...] = ()
    """The same as flat rows, for a spreadsheet."""
    is_complete: bool = True
    """False when the run was stopped, and this is what had been measured until then."""
    grade: Grade = ""
    """The colour of the verdict, where it is good or bad."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Machine, libraries, database, configuration; looked up when the report is written, unless it is given."""
    at: str = ""
    """When it was written, in UTC."""


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
    """Keep a report as `<UTC time>-<kind>.html` and `.json`; returns the page's path."""
    now = datetime.now(UTC)
    whole = replace(
        report,
        environment=report.environment or describe_environment(),
        at=report.at or now.isoformat(sep=" ", timespec="seconds").removesuffix("+00:00") + " UTC",
    )
    folder.mkdir(parents=True, exist_ok=True)
    page = unused_path(folder, f"{now:%Y%m%dT%H%M%SZ}-{report.kind}")
    page.with_suffix(".json").write_text(json.dumps(as_json(whole), indent=1, default=str), encoding="utf-8")
    page.write_text(as_html(whole), encoding="utf-8")
    return page


def unused_path(folder: Path, stem: str) -> Path:
    """Two reports of one second must not replace each other."""
    number = 1
    path = folder / f"{stem}.html"
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.html"
    return path


def as_json(report: LabReport, *, figures: bool = True) -> dict[str, Any]:
    """Return all of a report as JSON takes it, with its drawings or without."""
    found = asdict(report)
    if not figures:
        found["figures"] = [{"title": one.title, "caption": one.caption} for one in report.figures]
    return found


def list_reports(folder: Path) -> list[StoredReport]:
    """Return the reports of a folder, newest first; what is no report is passed over."""
    kept = []
    for path in sorted(folder.glob("*.json"), reverse=True):
        try:
            report = load_report(folder, path.stem)
        except NoSuchReportError:
            continue
        kept.append(StoredReport(path.stem, report.kind, report.title, report.verdict, report.at))
    return kept


def load_report(folder: Path, name: str) -> LabReport:
    """Return a kept report by its name, or by the path of its page or its JSON.

    Raises:
        NoSuchReportError: when there is none.
    """
    stem = name.removesuffix(".html").removesuffix(".json")
    path = Path(f"{stem}.json") if "/" in stem else folder / f"{stem}.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        tables = tuple(
            Table(one["title"], tuple(one["columns"]), tuple(map(tuple, one["rows"])), one["note"])
            for one in found["tables"]
        )
        figures = tuple(Figure(**one) for one in found["figures"])
        lists = {name: tuple(found[name]) for name in ("findings", "rows")}
        return LabReport(**{**found, **lists, "tables": tables, "figures": figures})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NoSuchReportError(f"There is no report {name} in {path.parent}.") from error


def as_html(report: LabReport) -> str:
    """Return the page of a report: one file that needs nothing else."""
    bare = {"data": report.data, "rows": report.rows}
    return render_page(
        "report.html", report=report, raw=json.dumps(bare, indent=1, default=str), table=as_csv(report.rows)
    )


def render_page(template: str, **values: Any) -> str:
    """Render a page of the lab; everything that is put in is escaped."""
    rendering = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    rendering.filters.update(shown=format_value, address=_data_url, number=lambda value: isinstance(value, int | float))
    return rendering.get_template(template).render(**values)


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return flat rows with one column for every name that occurs."""
    if not rows:
        return ""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def format_value(value: Cell) -> str:
    """Return a number with the digits that mean something."""
    if value is None:
        return "–"
    if isinstance(value, str | bool):
        return str(value)
    if isinstance(value, int) or value == 0 or abs(value) >= 100:  # noqa: PLR2004
        return f"{value:,.0f}"
    digits = 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3  # noqa: PLR2004
    return f"{value:,.{digits}f}"


def _data_url(content: str, kind: str) -> str:
    """Return the content as an address, so that the one file has it in it."""
    return f"data:{kind};charset=utf-8,{quote(content)}"
