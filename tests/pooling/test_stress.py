from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

import pytest

from bench import stress


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """SQLAlchemy logs what listeners raise: here that is the plan.

    Where one raises while the garbage collector brings a connection back, nobody can catch it. pytest keeps
    such an error with all its frames until the test is over, and the connections that they name stay out.
    """
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: None)
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("seed", [1, 2])
def test_everything_at_once_breaks_no_promise(seed: int) -> None:
    ended = stress.run(seconds=4, seed=seed, report=False)
    assert ended.broken == []
    # How much of it, the machine decides.
    assert ended.counts["borrowed"] > 100
    assert [what for what in ("forgotten", "invalidated", "detached") if not ended.counts[what]] == []
