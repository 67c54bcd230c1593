from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.attempts import tokens
from webapp.attempts.tokens import PlayerClaim
from webapp.errors import NotFoundError

KEY = "k" * 40
STARTED = datetime(2026, 11, 20, 22, 30, 15, 123457, UTC)


@given(st.text(max_size=40), st.datetimes(datetime(2020, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_token_says_what_was_put_into_it(name: str, started_at: datetime) -> None:
    claim = tokens.new_claim(7, tokens.new_player_id(), name.encode("utf-8", "replace").decode(), started_at)
    assert tokens.verify(tokens.issue(claim, KEY), KEY) == claim


def test_a_player_has_one_attempt_at_a_version_and_those_of_a_version_lie_together() -> None:
    players = [tokens.new_player_id() for _ in range(50)]
    ids = [tokens.new_claim(version, player, "", STARTED).attempt_id for version in (1, 2, 70000) for player in players]
    assert len(set(ids)) == 150
    assert [attempt_id.int >> 80 for attempt_id in sorted(ids)] == [1] * 50 + [2] * 50 + [70000] * 50
    assert {(attempt_id.version, attempt_id.variant) for attempt_id in ids} == {(8, uuid.RFC_4122)}
    assert tokens.new_claim(1, players[0], "again", STARTED).attempt_id == ids[0]


def test_a_changed_and_a_foreign_token_are_refused() -> None:
    token = tokens.issue(tokens.new_claim(7, tokens.new_player_id(), "Grace", STARTED), KEY)
    changed = token[:5] + ("A" if token[5] != "A" else "B") + token[6:]
    for bad, key in ((changed, KEY), (token, "another key"), ("", KEY)):
        with pytest.raises(NotFoundError):
            tokens.verify(bad, key)


def test_a_player_is_known_again_and_nobody_else_is() -> None:
    player = PlayerClaim(tokens.new_player_id(), (3, 1, 2))
    assert tokens.verify_player_token(tokens.issue_player_token(player, KEY), KEY) == player
    former = tokens._player_serializer(KEY).dumps(player.player_id.hex)
    assert tokens.verify_player_token(str(former), KEY) == PlayerClaim(player.player_id)
    assert tokens.verify_player_token("nonsense", KEY) is None
    assert tokens.verify_player_token(None, KEY) is None
    # An attempt's token is no player's.
    assert (
        tokens.verify_player_token(tokens.issue(tokens.new_claim(7, player.player_id, "", STARTED), KEY), KEY) is None
    )


def test_a_players_token_stays_short_however_many_quizzes_were_started() -> None:
    player = PlayerClaim(tokens.new_player_id(), tuple(range(2**63 - 100, 2**63)))
    token = tokens.issue_player_token(player, KEY)
    assert len(token) < 500
    known = tokens.verify_player_token(token, KEY)
    assert known == PlayerClaim(player.player_id, player.started[-tokens.MAX_STARTED :])
