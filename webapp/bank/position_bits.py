"""Positions of choices as the bits of a number, in which a column holds them. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def to_bits(positions: Iterable[int]) -> int:
    """Return the number whose bit n is set for each position n."""
    bits = 0
    for position in positions:
        bits |= 1 << position
    return bits


def from_bits(bits: int) -> tuple[int, ...]:
    """Return the positions of the set bits, the lowest first."""
    return tuple(position for position in range(bits.bit_length()) if bits >> position & 1)
