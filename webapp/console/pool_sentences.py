"""Sentences that poolproof writes for terminals, as templates that a page can translate. Pure."""

from __future__ import annotations

from poolproof.capacity.advice import Demand
from poolproof.capacity.budget import RELOAD_FACTOR, RESERVED_CONNECTIONS, ConnectionBudget
from webapp.messages import Message, message


def budget_sentence(need: ConnectionBudget) -> Message:
    """Return the sum of the connections with its parts, as `str(need)` does."""
    others = need.fleet.background_processes
    writer = message(" + %(count)s writer", count=need.writer) if need.writer else ""
    beside: str = ""
    if others:
        beside = message(" + %(count)s background processes × %(each)s", count=others, each=need.background + 1)
    return message(
        "%(workers)s workers × (%(interactive)s interactive + %(background)s background + %(console)s "
        "console%(writer)s) × %(factor)s while reloading%(beside)s + %(reserve)s in reserve = %(total)s",
        workers=need.fleet.workers,
        interactive=need.interactive,
        background=need.background,
        console=need.console,
        writer=writer,
        factor=RELOAD_FACTOR,
        beside=beside,
        reserve=RESERVED_CONNECTIONS,
        total=need.total,
    )


def demand_sentence(demand: Demand, available: int, sentence: str) -> str:
    """Return `sentence`, which is `advice.check_demand`'s of this demand, with its numbers apart."""
    if not demand.rate:
        return sentence
    return message(
        "Needs %(busy)s of %(available)s: %(rate)s checkouts per second, %(time)s ms each.",
        busy=format(demand.busy, ".1f"),
        available=available,
        rate=format(demand.rate, ".1f"),
        time=format(demand.mean_use_time * 1000, ".1f"),
    )
