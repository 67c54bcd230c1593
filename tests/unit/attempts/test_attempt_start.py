from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.attempts.test_presenter import NOW, RULES, VERSION
from webapp.attempts import tokens
from webapp.attempts.answer_store import StoredAttempt
from webapp.attempts.attempt_start import begin_attempt, next_attempt, remember_start
from webapp.attempts.time_limits import TimeLimits
from webapp.attempts.tokens import PlayerClaim
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


def test_a_second_attempt_that_is_started_twice_has_its_time_once() -> None:
    rules = replace(RULES, opens_at=NOW - timedelta(days=1), closes_at=None, time_limit=600, max_attempts=3)
    version = replace(VERSION, rules=rules, now=NOW.replace(microsecond=0))
    limits, player = TimeLimits(grace=0, ttl=604_800), PlayerClaim(tokens.new_player_id())
    ended = version.now - timedelta(minutes=1)
    stored = StoredAttempt(1, version.now - timedelta(minutes=5), "Grace", ended, None)
    # The player's token remembers the start of the first attempt until the second one begins.
    player = replace(player, started=(version.version_id,), started_at={version.version_id: stored.started_at})
    first_start = next_attempt(version, player, "Grace", stored, limits)
    assert (first_start.number, first_start.started_at) == (2, version.now)
    player, later = remember_start(player, first_start, version), version.now + timedelta(seconds=599)
    again = next_attempt(replace(version, now=later), player, "Grace", stored, limits)
    assert (again.number, again.started_at) == (2, version.now)
    # What was not stored is no attempt: when its time is over, it may begin anew.
    deadline = version.now + timedelta(seconds=600)
    assert next_attempt(replace(version, now=deadline), player, "Grace", stored, limits).started_at == deadline
