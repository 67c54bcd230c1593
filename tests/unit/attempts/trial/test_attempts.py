from __future__ import annotations

from datetime import UTC, datetime

from webapp.attempts import tokens
from webapp.attempts.trial.attempts import begin, new_seed, resume

KEY = "k" * 40
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def test_a_token_says_what_is_played_and_names_no_version_that_exists() -> None:
    started = resume(begin(7, 12, "ada", NOW, KEY), KEY)
    assert started is not None
    assert (started.claim.seed, started.state_of_quiz, started.claim.started_at) == (7, 12, NOW)
    assert started.claim.version_id < 0


def test_the_token_of_an_attempt_that_counts_is_none() -> None:
    claim = tokens.new_claim(3, tokens.new_player_id(), "Grace", NOW)
    assert resume(tokens.issue(claim, KEY), KEY) is None


def test_every_test_play_has_an_order_of_its_own() -> None:
    assert len({new_seed() for _ in range(20)}) > 1
