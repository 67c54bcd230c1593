"""An item in the form in which the player's template takes a question: its author sees what players will see."""

from __future__ import annotations

from dataclasses import dataclass

from webapp.bank.item_draft import ItemDraft, trim_draft


@dataclass(frozen=True)
class PreviewChoice:
    """A choice that nobody has chosen yet."""

    position: int
    text: str
    chosen: bool = False


@dataclass(frozen=True)
class PreviewQuestion:
    """The fields of a question that the player's template shows."""

    kind: str
    stem: str
    choices: tuple[PreviewChoice, ...]
    credit: str
    item: int = 0
    section: str | None = None


def preview_of(draft: ItemDraft) -> PreviewQuestion:
    """Return a draft, valid or not, as players would see it; the choices stand in the author's order."""
    draft = trim_draft(draft)
    choices = tuple(PreviewChoice(position, text) for position, text in enumerate(draft.choices))
    credit = ", ".join(part for part in (draft.source, draft.licence) if part)
    return PreviewQuestion(draft.kind, draft.stem, choices, credit)
