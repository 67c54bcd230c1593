from __future__ import annotations

from typing import Any

import pytest
from marshmallow import ValidationError

from webapp.attempts.models import MAX_NAME_LENGTH
from webapp.attempts.schemas import ANONYMOUS, MAX_CHOICES, MAX_SEQUENCE, AnswerIn, StartIn


def test_without_a_name_a_player_is_anonymous() -> None:
    assert StartIn().load({}) == {"name": ANONYMOUS, "player": None}


@pytest.mark.parametrize("name", ["", "  ", "\u2800", "\u00ad\ufeff", "x" * (MAX_NAME_LENGTH + 1), "bell\x07", 7])
def test_a_name_that_cannot_be_shown_is_refused(name: Any) -> None:
    with pytest.raises(ValidationError):
        StartIn().load({"name": name})


@pytest.mark.parametrize("choices", [[], [-1], [MAX_CHOICES], ["0"], [0.5], None])
def test_choices_are_positions(choices: Any) -> None:
    with pytest.raises(ValidationError):
        AnswerIn().load({"choices": choices})
    assert AnswerIn().load({"choices": [0, MAX_CHOICES - 1]})["choices"] == [0, MAX_CHOICES - 1]


@pytest.mark.parametrize("sequence", [-1, MAX_SEQUENCE + 1, "1", 0.5])
def test_the_clients_number_of_a_choice_is_a_whole_number_and_may_be_left_out(sequence: Any) -> None:
    with pytest.raises(ValidationError):
        AnswerIn().load({"choices": [0], "sequence": sequence})
    loaded = [AnswerIn().load({"choices": [0], **given}) for given in ({}, {"sequence": None}, {"sequence": 0})]
    assert [body["sequence"] for body in loaded] == [None, None, 0]
