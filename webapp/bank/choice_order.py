"""Shuffling the choices of an item: pinned ones keep their positions. Pure."""

from __future__ import annotations

from collections.abc import Collection
from random import Random


def shuffle_unpinned(count: int, pinned: Collection[int], random: Random) -> list[int]:
    """Return the positions of `count` choices in a random order in which the pinned ones stay where they are."""
    free = [position for position in range(count) if position not in pinned]
    shuffled = free.copy()
    random.shuffle(shuffled)
    order = list(range(count))
    for place, position in zip(free, shuffled, strict=True):
        order[place] = position
    return order
