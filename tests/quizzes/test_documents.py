from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.make import item_draft
from webapp.bank.items import Item
from webapp.errors import NotFoundError
from webapp.quizzes.documents import freeze, from_json, to_json


def item(number: int, **values: object) -> Item:
    now = datetime.now(UTC)
    return Item(**vars(item_draft(**values)), id=number, version=1, created_at=now, changed_at=now)


def test_a_document_is_the_same_after_storing() -> None:
    document = freeze("Title", "Description", [item(1), item(2, kind="multiple", right=(0, 2))])
    assert from_json(to_json(document)) == document


def test_true_and_false_keep_their_order() -> None:
    values = {"kind": "true_false", "choices": ("True", "False"), "right": (1,)}
    questions = [freeze("", "", [item(1, **values)]).questions[0] for _ in range(20)]
    assert {(question.choices, question.right) for question in questions} == {(("True", "False"), (1,))}


def test_a_question_that_is_not_asked_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="no item 2"):
        freeze("", "", [item(1)]).question(2)
