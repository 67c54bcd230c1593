"""The attempt of a test play. It lives in its token: its version does not exist, so no answer of it can be stored."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from webapp.attempts import presenter, scoring, tokens
from webapp.attempts.answer_store import AttemptState
from webapp.attempts.presenter import AttemptSnapshot, AttemptView
from webapp.attempts.tokens import AttemptClaim
from webapp.quizzes.published import PublishedVersion

SEED_BITS = 32
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class TrialStart:
    """What a token of a test play says."""

    claim: AttemptClaim
    state_of_quiz: int
    """The draft's or the published version's number; another one means that the quiz has changed meanwhile."""


def new_seed() -> int:
    """Return a seed of the order of choices."""
    return secrets.randbits(SEED_BITS)


def begin(seed: int, state_of_quiz: int, player_name: str, started_at: datetime, key: str) -> str:
    """Return the token of a new test play. The ids of versions are positive, and the one in it is not."""
    claim = AttemptClaim(uuid.uuid4(), -state_of_quiz, uuid.uuid4(), player_name, started_at, seed)
    return tokens.issue(claim, key)


def resume(token: str, key: str) -> TrialStart | None:
    """Return what a token says; None for the token of an attempt that counts.

    Raises:
        NotFoundError: when the token is not ours or was changed.
    """
    claim = tokens.verify(token, key)
    return TrialStart(claim, -claim.version_id) if claim.version_id < 0 else None


def view(
    claim: AttemptClaim, version: PublishedVersion, answers: Mapping[int, int], finished_at: datetime | None
) -> AttemptView:
    """Return the attempt as its player sees it while the quiz is open.

    The author sees the right answers at once, whatever the rules say.
    """
    score = scoring.score(version.document, answers) if finished_at is not None else None
    elapsed = None if finished_at is None else max(0, (finished_at - claim.started_at) // MILLISECOND)
    state = AttemptState(answers, finished_at, score, elapsed)
    return presenter.build_view(
        claim, AttemptSnapshot(replace(version, now=version.opens_at), state, shows_answers=True), None
    )
