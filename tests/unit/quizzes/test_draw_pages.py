"""The studio's form of points and draws."""

from __future__ import annotations

from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.sessions import sign_in
from webapp.lab.factories import make_draft
from webapp.quizzes import drafts


def test_an_author_gives_points_and_adds_and_removes_a_draw(
    client: FlaskClient, author: dict[str, str], work: UnitOfWork
) -> None:
    sign_in(client, work, "ada")
    draft = make_draft(work)
    address, item = f"/studio/quizzes/{draft.id}/draws", draft.item_ids[1]

    def send(**fields: str) -> drafts.Draft:
        with work.read() as connection:
            version = drafts.find(connection, draft.id).version
        assert client.post(address, data={"version": str(version), **fields}).status_code == 302
        with work.read() as connection:
            return drafts.find(connection, draft.id)

    changed = send(action="add", size="5", category="Numbers", difficulty="easy", points="3", position="1")
    (draw,) = changed.draws
    assert (draw.describe(), draw.points, draw.position, draw.for_each_player) == ("5 of Numbers, easy", 3, 1, True)
    assert send(action="save", **{f"points-{item}": "4"}).points == {item: 4}
    assert "5 of Numbers, easy" in client.get(f"/studio/quizzes/{draft.id}").text
    assert send(action="remove 0").draws == ()
