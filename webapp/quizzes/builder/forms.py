"""The quiz builder's list of rows: the items of a draft and the titles of its sections, in the order that players see.

A form sends the keys of all rows in their order (`entry`) and the titles of sections; a button names an action and
the row that it is about. What else a row of an item has (points, draws) is read here, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from werkzeug.datastructures import MultiDict

from webapp.quizzes.drafts import Draft, DraftValues, Section
from webapp.web.validators import is_id

SECTION_PREFIX = "s"


@dataclass(frozen=True)
class Row:
    """A row of the builder: an item, or the title of a section."""

    key: str
    """The item's id, or `s` and a number."""
    item_id: int | None = None
    title: str = ""


def rows_of(draft: Draft | DraftValues) -> list[Row]:
    """Return the rows of a draft: each section stands before its first item."""
    sections = [Row(f"{SECTION_PREFIX}{number}", title=each.title) for number, each in enumerate(draft.sections)]
    rows: list[Row] = []
    for position, item_id in enumerate(draft.item_ids):
        rows += [row for row, each in zip(sections, draft.sections, strict=True) if each.before == position]
        rows.append(Row(str(item_id), item_id))
    end = len(draft.item_ids)
    return rows + [row for row, each in zip(sections, draft.sections, strict=True) if each.before >= end]


def change_rows(draft: Draft, sent: MultiDict[str, str]) -> DraftValues:
    """Return the draft's values after what a form says: an order, titles, an action, items to add."""
    rows = _apply(_read_rows(draft, sent), sent)
    known = {row.item_id for row in rows}
    added = [int(item_id) for item_id in dict.fromkeys(sent.getlist("add")) if is_id(item_id)]
    rows += [Row(str(item_id), item_id) for item_id in added if item_id not in known]
    return _with_rows(draft.to_values(), rows)


def _read_rows(draft: Draft, sent: MultiDict[str, str]) -> list[Row]:
    """Return the draft's rows in the order of the form and with its titles; what the form does not name stays last."""
    present = {row.key: row for row in rows_of(draft)}
    order = [key for key in dict.fromkeys(sent.getlist("entry")) if key in present]
    keys = [*order, *(key for key in present if key not in order)]
    rows = [present[key] for key in keys]
    return [replace(row, title=_read_title(row, sent)) if row.item_id is None else row for row in rows]


def _read_title(row: Row, sent: MultiDict[str, str]) -> str:
    return sent.get(f"section-{row.key}", row.title).strip() or row.title


def _apply(rows: Sequence[Row], sent: MultiDict[str, str]) -> list[Row]:
    action, _, key = sent.get("action", "").partition(" ")
    title = sent.get("new_section", "").strip()
    if action == "add-section" and title:
        return [*rows, Row(f"{SECTION_PREFIX}{len(rows)}", title=title)]
    rows = list(rows)
    position = next((place for place, row in enumerate(rows) if row.key == key), None)
    if position is not None and action in {"up", "down", "remove"}:
        row = rows.pop(position)
        if action != "remove":
            rows.insert(max(0, position - 1) if action == "up" else position + 1, row)
    return rows


def _with_rows(values: DraftValues, rows: Iterable[Row]) -> DraftValues:
    item_ids: list[int] = []
    sections: list[Section] = []
    for row in rows:
        if row.item_id is None:
            sections.append(Section(len(item_ids), row.title))
        else:
            item_ids.append(row.item_id)
    return replace(values, item_ids=tuple(item_ids), sections=tuple(sections))
