"""What limits at a size is named, and what could not be observed."""

from __future__ import annotations

import pytest

from poolproof.lab.sizing.bottleneck import ResourceUsage, find_bottlenecks


@pytest.mark.parametrize(
    ("usage", "still_rises", "names"),
    [
        (ResourceUsage(4, 16, machine_cpu=0.97, lock_share=0.0, flush_share=0.1), False, ("CPU",)),
        (ResourceUsage(4, 16, machine_cpu=0.6, process_cpu=0.99), False, ("CPU",)),
        (ResourceUsage(4, 16, machine_cpu=0.97, own_cpu=0.8), False, ("CPU",)),
        (ResourceUsage(4, 16, machine_cpu=0.97, own_cpu=0.2), False, ("other work",)),
        (ResourceUsage(2, 16, machine_cpu=0.3, lock_share=0.8, flush_share=0.7), False, ("locks", "commits")),
        (ResourceUsage(16, 16, machine_cpu=0.1, lock_share=0.0), True, ("threads",)),
        (ResourceUsage(8, 16, machine_cpu=0.1, pool_share=0.5), True, ("pool",)),
        (ResourceUsage(8, 16, machine_cpu=0.1, lock_share=0.0, flush_share=0.0), False, ("idle holds",)),
    ],
)
def test_what_limits_is_named(usage: ResourceUsage, still_rises: bool, names: tuple[str, ...]) -> None:
    assert find_bottlenecks(usage, still_rises=still_rises, server_is_local=True).names == names


def test_rows_that_are_waited_for_beyond_the_knee_are_what_limits_at_it() -> None:
    at_knee, larger = (
        ResourceUsage(2, 24, machine_cpu=0.3, lock_share=0.2),
        ResourceUsage(4, 24, machine_cpu=0.3, lock_share=0.6),
    )
    bottlenecks = find_bottlenecks(at_knee, still_rises=False, server_is_local=True, next_larger=larger)
    assert bottlenecks.names == ("locks",)
    assert "4 connections spend 60%" in bottlenecks.sentences[0]
    assert find_bottlenecks(at_knee, still_rises=True, server_is_local=True, next_larger=larger).names == ("pool",)


def test_what_was_not_seen_is_said_not_to_be_known() -> None:
    known = ResourceUsage(4, 16, machine_cpu=0.97, lock_share=0.0, flush_share=0.1)
    assert find_bottlenecks(known, still_rises=False, server_is_local=True).not_observed == ()
    assert len(find_bottlenecks(known, still_rises=False, server_is_local=False).not_observed) == 1
    assert len(find_bottlenecks(ResourceUsage(4, 16), still_rises=False, server_is_local=True).not_observed) == 3
