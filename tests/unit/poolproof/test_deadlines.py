"""The deadline of a context: shortened, never lengthened, and suspended for a block."""

from __future__ import annotations

import contextvars
import math

import pytest

from poolproof import deadlines
from tests.support.clock import SettableClock


@pytest.fixture(autouse=True)
def stopped(clock: SettableClock) -> SettableClock:
    clock.stop()
    return clock


def in_a_context(*seconds: float) -> contextvars.Context:
    context = contextvars.copy_context()
    for limit in seconds:
        context.run(deadlines.set_deadline, limit)
    return context


def test_without_a_deadline_a_wait_is_as_long_as_it_asks() -> None:
    context = in_a_context()
    assert context.run(deadlines.remaining) is None
    assert context.run(deadlines.clamp, 3.0) == 3.0
    assert context.run(deadlines.clamp, None) == math.inf


def test_a_wait_ends_at_the_deadline(clock: SettableClock) -> None:
    context = in_a_context(10.0)
    clock.advance(8.0)
    assert context.run(deadlines.remaining) == pytest.approx(2.0)
    assert context.run(deadlines.clamp, 5.0) == pytest.approx(2.0)
    assert context.run(deadlines.clamp, 1.0) == 1.0
    clock.advance(5.0)
    assert context.run(deadlines.remaining) == 0.0


@pytest.mark.parametrize("limits", [(10.0, 4.0), (4.0, 10.0)])
def test_a_second_deadline_only_shortens(limits: tuple[float, float]) -> None:
    assert in_a_context(*limits).run(deadlines.remaining) == pytest.approx(4.0)


def test_a_suspended_deadline_holds_again_after_the_block(clock: SettableClock) -> None:
    def look() -> tuple[float | None, float | None]:
        with deadlines.without_deadline():
            inside = deadlines.remaining()
        return inside, deadlines.remaining()

    inside, after = in_a_context(10.0).run(look)
    assert inside is None
    assert after == pytest.approx(10.0)


def test_a_deadline_is_that_of_its_context_only() -> None:
    in_a_context(10.0)
    assert contextvars.Context().run(deadlines.remaining) is None


def test_a_deadline_that_was_replaced_comes_back_and_a_lifted_one_does_not(clock: SettableClock) -> None:
    context = in_a_context(5.0)
    token = context.run(deadlines.replace_deadline, 30.0)
    assert context.run(deadlines.remaining) == 30.0
    context.run(deadlines.lift_deadline)
    assert context.run(deadlines.remaining) is None
    context.run(deadlines.restore_deadline, token)
    assert context.run(deadlines.remaining) == 5.0
