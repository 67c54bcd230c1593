from __future__ import annotations

from datetime import UTC, datetime

import pytest

from webapp.bank.items import Item
from webapp.errors import NotFoundError
from webapp.lab.factories import item_draft
from webapp.quizzes.documents import Origin, collect_origins, freeze, from_json, to_json


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


def test_a_document_that_was_published_before_addresses_were_kept_still_works() -> None:
    stored = to_json(freeze("", "", [item(1, address="https://example.org/1")]))
    assert stored["questions"][0]["address"] == "https://example.org/1"
    del stored["questions"][0]["address"]
    assert from_json(stored).questions[0].address is None


def test_origins_are_told_once_with_the_address_that_all_have() -> None:
    source = {"source": "Open Trivia DB", "licence": "CC BY-SA 4.0"}
    items = [
        item(1),
        item(2, source="Ada", address="https://example.org/2"),
        item(3, **source, address="https://example.org/3"),
        item(4, **source, address="https://example.org/4"),
    ]
    assert collect_origins(items) == [
        Origin("Open Trivia DB", "CC BY-SA 4.0", None, 2), Origin("Ada", None, "https://example.org/2", 1)
    ]  # fmt: skip


def test_a_pinned_choice_is_published_in_its_place() -> None:
    pinned = item(1, choices=("a", "b", "c", "None of these"), right=(3,), pinned=(3,))
    questions = [freeze("", "", [pinned]).questions[0] for _ in range(30)]
    assert {question.choices[3] for question in questions} == {"None of these"}
    assert {question.right for question in questions} == {(3,)}
    assert len({question.choices for question in questions}) > 1
    document = freeze("", "", [pinned])
    assert from_json(to_json(document)) == document


def test_questions_are_in_the_section_that_began_last() -> None:
    document = freeze("", "", [item(1), item(2), item(3), item(4)], {1: "Rivers", 3: "Lakes"})
    assert [question.section for question in document.questions] == [None, "Rivers", "Rivers", "Lakes"]
    assert from_json(to_json(document)) == document
