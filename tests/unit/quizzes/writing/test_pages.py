from __future__ import annotations

from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.bank import items
from webapp.lab.factories import make_draft
from webapp.quizzes import drafts

QUESTION = {
    "kind": "single", "stem": "What holds connections?", "row": ["0", "1"], "choice-0": "A pool", "choice-1": "A pond",
    "right": "0",
}  # fmt: skip


def test_a_question_that_is_written_in_a_quiz_is_in_the_bank_and_last_in_the_draft(
    studio: FlaskClient, work: UnitOfWork
) -> None:
    draft = make_draft(work)
    address = f"/studio/quizzes/{draft.id}/write"
    assert "Save and write the next" in studio.get(address).text
    next_page = studio.post(address, data={**QUESTION, "action": "save"}, follow_redirects=True)
    assert (next_page.request.path, "3 questions" in next_page.text) == (address, True)
    last = studio.post(address, data={**QUESTION, "stem": "And what else?", "action": "save-last"})
    assert last.location.startswith(f"/studio/quizzes/{draft.id}?")
    with work.read() as connection:
        ids = drafts.find(connection, draft.id).item_ids
        found = items.find_many(connection, ids)
    assert ids[:2] == draft.item_ids
    assert [found[item_id].stem for item_id in ids[2:]] == [QUESTION["stem"], "And what else?"]


def test_what_cannot_be_saved_stays_in_the_form_and_changes_nothing(studio: FlaskClient, work: UnitOfWork) -> None:
    draft = make_draft(work)
    address = f"/studio/quizzes/{draft.id}/write"
    refused = studio.post(address, data={**QUESTION, "right": []})
    assert refused.status_code == 422
    assert "What holds connections?" in refused.text
    more = studio.post(address, data={**QUESTION, "action": "add"})
    assert 'value="A pond"' in more.text
    studio.post(address, data=QUESTION)
    assert studio.post(address, data=QUESTION).status_code == 409
    with work.read() as connection:
        assert len(drafts.find(connection, draft.id).item_ids) == 3


def test_a_quiz_that_does_not_exist_has_no_editor(studio: FlaskClient) -> None:
    assert studio.get("/studio/quizzes/999/write").status_code == 404
    assert studio.post("/studio/quizzes/999/write", data=QUESTION).status_code == 404
