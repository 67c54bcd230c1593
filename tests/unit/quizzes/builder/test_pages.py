from __future__ import annotations

from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.narrowing import match_in
from webapp.lab.factories import make_draft
from webapp.quizzes import drafts
from webapp.quizzes.drafts import Section


def test_a_section_is_published_and_told_to_players(studio: FlaskClient, work: UnitOfWork) -> None:
    draft = make_draft(work, questions=3)
    address = f"/studio/quizzes/{draft.id}"
    studio.post(f"{address}/items", data={"version": 1, "action": "add-section", "new_section": "Rivers"})
    for version in (2, 3):
        studio.post(f"{address}/items", data={"version": version, "action": "up s0"})
    assert 'value="Rivers"' in studio.get(address).text
    studio.post(f"{address}/publish", data={})
    questions = studio.get(f"/api/v1/quizzes/{draft.id}").get_json()["questions"]
    assert [question["section"] for question in questions] == [None, "Rivers", "Rivers"]


def test_a_script_is_told_the_new_version_or_why_there_is_none(studio: FlaskClient, work: UnitOfWork) -> None:
    draft = make_draft(work, questions=2)
    first, second = draft.item_ids
    address, asks = f"/studio/quizzes/{draft.id}/items", {"Accept": "application/json"}
    saved = studio.post(address, data={"version": 1, "entry": [second, first]}, headers=asks)
    assert (saved.status_code, saved.get_json()) == (200, {"version": 2})
    late = studio.post(address, data={"version": 1, "entry": [first, second]}, headers=asks)
    assert late.status_code == 412
    assert "read it again" in late.get_json()["detail"]
    with work.read() as connection:
        assert drafts.find(connection, draft.id).item_ids == (second, first)


def test_a_copy_of_a_quiz_is_a_draft_with_the_same_items_and_sections(studio: FlaskClient, work: UnitOfWork) -> None:
    draft = make_draft(work, questions=2)
    values = draft.to_values()
    work.run_in_transaction(
        lambda connection: drafts.change(
            connection,
            draft.id,
            type(values)(draft.title, "", None, draft.item_ids, sections=(Section(1, "Rivers"),)),
            1,
        )
    )
    copied = studio.post(f"/studio/quizzes/{draft.id}/duplicate")
    with work.read() as connection:
        copy = drafts.find(connection, int(match_in(r"\d+", copied.headers["Location"])[0]))
    assert (copy.title, copy.item_ids) == ("Copy of Numbers", draft.item_ids)
    assert copy.sections == (Section(1, "Rivers"),)
    assert (copy.id, copy.slug) != (draft.id, draft.slug)


def test_the_details_of_a_quiz_change_without_its_sections(studio: FlaskClient, work: UnitOfWork) -> None:
    draft = make_draft(work, questions=1)
    address = f"/studio/quizzes/{draft.id}"
    studio.post(f"{address}/items", data={"version": 1, "action": "add-section", "new_section": "Rivers"})
    studio.post(f"{address}/details", data={"version": 2, "title": "Other"})
    with work.read() as connection:
        changed = drafts.find(connection, draft.id)
    assert (changed.title, changed.sections) == ("Other", (Section(1, "Rivers"),))
