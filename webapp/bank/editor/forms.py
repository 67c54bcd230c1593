"""The fields of the item editor: from an item, from what a browser has sent, and to a draft. Knows no HTTP."""

from __future__ import annotations

from dataclasses import dataclass, replace

from werkzeug.datastructures import MultiDict

from webapp.bank.item_draft import MAX_CHOICES, TRUE_AND_FALSE, ItemDraft, clean_tags
from webapp.bank.item_kinds import Kind
from webapp.web.validators import is_decimal, is_id

NEW_ROWS = 4
_TEXT_FIELDS = ("stem", "explanation", "category", "difficulty", "source", "licence", "address", "tags")


@dataclass(frozen=True)
class ChoiceRow:
    """A choice as it is edited."""

    text: str = ""
    is_right: bool = False
    is_pinned: bool = False


@dataclass(frozen=True)
class ItemForm:
    """An item as it is edited, which may be incomplete or wrong; `truth` is the answer of a true or false one."""

    kind: str = Kind.SINGLE
    stem: str = ""
    rows: tuple[ChoiceRow, ...] = (ChoiceRow(),) * NEW_ROWS
    truth: str = ""
    explanation: str = ""
    category: str = ""
    difficulty: str = ""
    tags: str = ""
    source: str = ""
    licence: str = ""
    address: str = ""
    version: int = 0
    """The version of the item that is edited; 0 for a new one."""

    def to_draft(self) -> ItemDraft:
        """Return what would be stored; rows without a text are left out."""
        texts = {
            name: getattr(self, name) or None for name in ("category", "difficulty", "source", "licence", "address")
        }
        rows = [row for row in self.rows if row.text.strip()]
        choices = tuple(row.text for row in rows)
        right = tuple(position for position, row in enumerate(rows) if row.is_right)
        if self.kind == Kind.TRUE_FALSE:
            choices = TRUE_AND_FALSE
            right = tuple(position for position, name in enumerate(choices) if name.lower() == self.truth)
        return ItemDraft(
            kind=self.kind,
            stem=self.stem,
            choices=choices,
            right=right,
            explanation=self.explanation,
            pinned=tuple(position for position, row in enumerate(rows) if row.is_pinned),
            tags=clean_tags(self.tags.split(",")),
            **texts,
        )

    def edit_rows(self, action: str, position: int) -> ItemForm:
        """Return the form with a row added at the end, or the one at this position moved or removed."""
        rows = list(self.rows)
        if action == "add" and len(rows) < MAX_CHOICES:
            rows.append(ChoiceRow())
        elif action == "remove" and position < len(rows):
            del rows[position]
        elif action in {"up", "down"} and position < len(rows):
            row = rows.pop(position)
            rows.insert(max(0, position - 1) if action == "up" else position + 1, row)
        return replace(self, rows=tuple(rows))


def form_of(item: ItemDraft, version: int) -> ItemForm:
    """Return the form in which an item is edited."""
    is_true_false = item.kind == Kind.TRUE_FALSE
    rows = tuple(
        ChoiceRow(text, position in item.right, position in item.pinned) for position, text in enumerate(item.choices)
    )
    return ItemForm(
        kind=item.kind,
        stem=item.stem,
        rows=ItemForm.rows if is_true_false else rows,
        truth=item.choices[item.right[0]].lower() if is_true_false else "",
        explanation=item.explanation,
        category=item.category or "",
        difficulty=item.difficulty or "",
        tags=", ".join(item.tags),
        source=item.source or "",
        licence=item.licence or "",
        address=item.address or "",
        version=version,
    )


def read_form(sent: MultiDict[str, str]) -> ItemForm:
    """Return the form that a browser has sent; the hidden fields `row` name the choices in their order."""
    numbers = [number for number in dict.fromkeys(sent.getlist("row")) if is_decimal(number, 4)][:MAX_CHOICES]
    right, pinned = set(sent.getlist("right")), set(sent.getlist("pinned"))
    rows = tuple(ChoiceRow(sent.get(f"choice-{number}", ""), number in right, number in pinned) for number in numbers)
    version = sent.get("version", "")
    return ItemForm(
        kind=sent.get("kind", ""),
        rows=rows,
        truth=sent.get("truth", ""),
        version=int(version) if is_id(version) else 0,
        **{name: sent.get(name, "").replace("\r\n", "\n") for name in _TEXT_FIELDS},
    )
