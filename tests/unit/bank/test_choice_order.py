from __future__ import annotations

from random import Random

from webapp.bank.choice_order import shuffle_unpinned


def test_what_is_not_pinned_is_shuffled_and_nothing_is_lost() -> None:
    orders = [shuffle_unpinned(5, (0, 4), Random(seed)) for seed in range(40)]
    assert all((order[0], order[4]) == (0, 4) and sorted(order) == [0, 1, 2, 3, 4] for order in orders)
    assert len(set(map(tuple, orders))) == 6
