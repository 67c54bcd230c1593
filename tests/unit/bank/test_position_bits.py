from __future__ import annotations

from webapp.bank.position_bits import from_bits, to_bits


def test_positions_are_the_same_after_storing() -> None:
    assert [from_bits(to_bits(positions)) for positions in ((), (0,), (3, 19))] == [(), (0,), (3, 19)]
