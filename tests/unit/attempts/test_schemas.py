from __future__ import annotations

from typing import Any

import pytest
from marshmallow import ValidationError

from webapp.attempts.models import MAX_NAME_LENGTH
from webapp.attempts.schemas import ANONYMOUS, MAX_CHOICES, AnswerIn, StartIn


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
    assert AnswerIn().load({"choices": [0, MAX_CHOICES - 1]}) == {"choices": [0, MAX_CHOICES - 1]}
