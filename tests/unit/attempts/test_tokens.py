from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.attempts import tokens
from webapp.errors import NotFoundError

KEY = "k" * 40
STARTED = datetime(2026, 11, 20, 22, 30, 15, 123457, UTC)


@given(st.text(max_size=40), st.datetimes(datetime(2020, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_token_says_what_was_put_into_it(name: str, started_at: datetime) -> None:
    claim = tokens.new_claim(7, tokens.new_player_id(), name.encode("utf-8", "replace").decode(), started_at)
    assert tokens.verify(tokens.issue(claim, KEY), KEY, ttl=60) == claim


def test_attempts_are_numbered_in_order_of_time() -> None:
    ids = [tokens.new_claim(1, tokens.new_player_id(), "", STARTED).attempt_id for _ in range(100)]
    assert ids == sorted(ids)
    assert {attempt_id.version for attempt_id in ids} == {7}


def test_a_changed_a_foreign_and_an_old_token_are_refused() -> None:
    token = tokens.issue(tokens.new_claim(7, tokens.new_player_id(), "Grace", STARTED), KEY)
    changed = token[:5] + ("A" if token[5] != "A" else "B") + token[6:]
    for bad, key, ttl in ((changed, KEY, 60), (token, "another key", 60), (token, KEY, -1), ("", KEY, 60)):
        with pytest.raises(NotFoundError):
            tokens.verify(bad, key, ttl)


def test_a_token_that_was_good_expires_all_the_same() -> None:
    token = tokens.issue(tokens.new_claim(7, tokens.new_player_id(), "Grace", STARTED), KEY)
    assert tokens.verify(token, KEY, ttl=60).version_id == 7
    with pytest.raises(NotFoundError, match="expired"):
        tokens.verify(token, KEY, ttl=-1)


def test_a_player_is_known_again_and_nobody_else_is() -> None:
    player = tokens.new_player_id()
    assert tokens.verify_player_token(tokens.issue_player_token(player, KEY), KEY) == player
    assert tokens.verify_player_token("nonsense", KEY) is None
    assert tokens.verify_player_token(None, KEY) is None
    # An attempt's token is no player's.
    assert tokens.verify_player_token(tokens.issue(tokens.new_claim(7, player, "", STARTED), KEY), KEY) is None
