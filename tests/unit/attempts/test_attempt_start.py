from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.attempts.test_presenter import NOW, RULES, VERSION
from webapp.attempts import tokens
from webapp.attempts.attempt_start import begin_attempt
from webapp.errors import QuizNotOpenError


def test_an_attempt_begins_at_the_databases_time() -> None:
    claim = begin_attempt(VERSION, tokens.new_player_id(), "Grace")
    assert (claim.version_id, claim.player_name, claim.started_at) == (VERSION.version_id, "Grace", NOW)


@pytest.mark.parametrize(
    ("opens", "closes", "words"), [(1, 2, "opens on"), (-2, -1, "closed on"), (-2, 0, "closed on")]
)
def test_outside_of_the_window_nothing_begins(opens: int, closes: int, words: str) -> None:
    rules = replace(RULES, opens_at=NOW + timedelta(hours=opens), closes_at=NOW + timedelta(hours=closes))
    version = replace(VERSION, rules=rules)
    with pytest.raises(QuizNotOpenError, match=words):
        begin_attempt(version, tokens.new_player_id(), "Grace")
