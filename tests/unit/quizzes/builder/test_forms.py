from __future__ import annotations

from datetime import UTC, datetime

from werkzeug.datastructures import MultiDict

from webapp.quizzes.builder.forms import change_rows, rows_of
from webapp.quizzes.drafts import Draft, DraftValues, Section

DRAFT = Draft(
    1, "rivers", "Rivers", "", (11, 12, 13), 1, datetime.now(UTC), sections=(Section(0, "Long"), Section(2, "Short"))
)


def keys(values: DraftValues) -> list[str]:
    return [row.title or row.key for row in rows_of(values)]


def changed(*fields: tuple[str, str]) -> DraftValues:
    return change_rows(DRAFT, MultiDict(fields))


def test_sections_stand_before_their_first_items() -> None:
    assert keys(DRAFT.to_values()) == ["Long", "11", "12", "Short", "13"]


def test_a_row_is_moved_by_a_button_past_items_and_titles_alike() -> None:
    assert keys(changed(("action", "up 13"))) == ["Long", "11", "12", "13", "Short"]
    assert keys(changed(("action", "down s0"))) == ["11", "Long", "12", "Short", "13"]
    assert keys(changed(("action", "up s0"))) == ["Long", "11", "12", "Short", "13"]
    assert keys(changed(("action", "remove s1"))) == ["Long", "11", "12", "13"]
    assert keys(changed(("action", "remove 11"))) == ["Long", "12", "Short", "13"]


def test_an_order_that_was_dragged_is_taken_and_what_it_does_not_name_is_kept() -> None:
    entries = [("entry", key) for key in ("13", "s1", "13", "99", "11")]
    assert keys(changed(*entries)) == ["13", "Short", "11", "Long", "12"]


def test_sections_are_added_and_renamed_and_an_empty_title_changes_nothing() -> None:
    added = changed(
        ("action", "add-section"), ("new_section", " Canals "), ("section-s0", "Longest"), ("section-s1", "")
    )
    assert keys(added) == ["Longest", "11", "12", "Short", "13", "Canals"]
    assert added.sections[-1] == Section(3, "Canals")


def test_ticked_items_are_added_once_at_the_end() -> None:
    assert changed(("add", "12"), ("add", "20"), ("add", "20"), ("add", "x")).item_ids == (11, 12, 13, 20)
