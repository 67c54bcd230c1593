"""What operators may do from the console, and the record of it: written before it is done, or it is not done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from webapp.console.models import ConsoleDeed
from webapp.console.view import ProcessView, View
from webapp.errors import InvalidInputError, NotFoundError
from webapp.pooling.budget import Fleet, need_of
from webapp.pooling.clock import utc_now
from webapp.pooling.orders import OrderError, Orders
from webapp.pooling.publishing import master_name
from webapp.pooling.work import Work

OUTCOME_WITHIN = 1.5
"""Seconds to wait for a process to say what it has done."""
LANES = ("interactive", "background")
SHOWN = 100
LARGEST_POOL = 1000


@dataclass(frozen=True)
class Wish:
    """A deed that was asked for and not yet confirmed: in words, what follows, and its own values."""

    deed: str
    question: str
    consequence: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class Done:
    """A row of the record."""

    done_at: datetime
    operator: str
    deed: str
    outcome: str


def wish(view: View, deed: str, values: Mapping[str, str], fleet: Fleet) -> Wish:
    """Check what was asked for; return it in words.

    Raises:
        NotFoundError: when the process is gone or the connection is back.
        InvalidInputError: when it would break the budget, or is not a deed.
    """
    if deed == "end":
        return _end(view, values)
    if deed == "drain":
        return _drain(view, values)
    if deed == "resize":
        return _resize(view, values, fleet)
    if deed in {"pause", "resume"}:
        return _pause(deed, values)
    raise InvalidInputError(f"There is no deed called {deed}.")


def do(work: Work, orders: Orders, operator: str, wished: Wish) -> str:
    """Write down who does what, do it, and write down what came of it; return that.

    Raises:
        SQLAlchemyError: when it cannot be written down; then nothing was done.
    """
    number = work.transact(lambda connection: _begin(connection, operator, wished.question))
    try:
        outcome = _carry_out(orders, wished)
    except OrderError as error:
        outcome = f"Not done: {error}"
    work.transact(lambda connection: _end_record(connection, number, outcome))
    return outcome


def lately(connection: Connection) -> list[Done]:
    """Return the last deeds, the latest first."""
    found = connection.execute(
        select(ConsoleDeed.done_at, ConsoleDeed.operator, ConsoleDeed.deed, ConsoleDeed.outcome)
        .order_by(ConsoleDeed.id.desc())
        .limit(SHOWN)
    )
    return [Done(*row) for row in found]


def _begin(connection: Connection, operator: str, deed: str) -> int:
    values = {"done_at": utc_now(), "operator": operator, "deed": deed[:200], "outcome": "begun"}
    result = connection.execute(insert(ConsoleDeed).values(**values))
    number: int = result.inserted_primary_key[0]  # type: ignore[index]
    return number


def _end_record(connection: Connection, number: int, outcome: str) -> None:
    connection.execute(update(ConsoleDeed).where(ConsoleDeed.id == number).values(outcome=outcome[:500]))


def _carry_out(orders: Orders, wished: Wish) -> str:
    values = wished.values
    if wished.deed in {"end", "drain"}:
        is_end = wished.deed == "end"
        details = {"connection": int(values["connection"]), "since": float(values["since"])} if is_end else {}
        name = orders.ask(values["process"], wished.deed, **details)
        said = orders.outcome(name, OUTCOME_WITHIN)
        return said or f"The process has been asked, and has not answered within {OUTCOME_WITHIN:g} s."
    standing = orders.standing(master_name())
    if wished.deed == "resize":
        sizes = {**standing.get("sizes", {}), values["lane"]: int(values["size"])}
        orders.stand(master_name(), sizes=sizes)
        return f"Each worker's {values['lane']} lane has {values['size']} connections now."
    paused = set(standing.get("paused", ())) - {values["lane"]}
    if wished.deed == "pause":
        paused.add(values["lane"])
    orders.stand(master_name(), paused=sorted(paused))
    return f"The {values['lane']} lane of each worker {'is paused' if wished.deed == 'pause' else 'goes on'}."


def _process(view: View, values: Mapping[str, str]) -> ProcessView:
    for one in view.processes:
        if one.key == values.get("process"):
            return one
    raise NotFoundError("That process has ended.")


def _end(view: View, values: Mapping[str, str]) -> Wish:
    process = _process(view, values)
    for one in view.holders:
        is_the_one = one.process.key == process.key and str(one.id) == values.get("connection")
        if is_the_one and values.get("since", f"{one.since:.6f}") == f"{one.since:.6f}":
            return Wish(
                "end",
                f"End connection {one.id} of {process.label}, held by {one.name}?",
                "Its transaction is rolled back, the request that holds it gets an error, and its place is free for "
                "the next.",
                {"process": process.key, "connection": str(one.id), "since": f"{one.since:.6f}"},
            )
    raise NotFoundError("That connection is back in its pool already.")


def _drain(view: View, values: Mapping[str, str]) -> Wish:
    process = _process(view, values)
    if process.name != "worker" or not process.is_ours:
        raise InvalidInputError("Only a worker of this service can be drained.")
    return Wish(
        "drain",
        f"Drain {process.label} (process {process.pid})?",
        "It finishes its requests, closes its connections and ends. The master starts another worker at once, so for a "
        "moment both have connections, as in a reload.",
        {"process": process.key},
    )


def _resize(view: View, values: Mapping[str, str], fleet: Fleet) -> Wish:
    lane, size = values.get("lane", ""), values.get("size", "")
    if lane not in LANES or not size.isdecimal() or not 1 <= int(size) <= LARGEST_POOL:
        raise InvalidInputError(f"A lane has 1 to {LARGEST_POOL} connections, and is one of: {', '.join(LANES)}.")
    name = "size" if lane == "interactive" else "background"
    need = need_of(fleet, view.settings.model_copy(update={name: int(size)}))
    facts = view.server.facts
    if facts is not None and facts.max_connections and need.at_most > facts.max_connections - facts.others:
        raise InvalidInputError(
            f"That does not fit: {need}; max_connections = {facts.max_connections} − {facts.others} of others. "
            "Take a smaller size, or raise max_connections first."
        )
    return Wish(
        "resize",
        f"Give each worker's {lane} lane {size} connections?",
        f"{need}. It lasts until the service starts anew. Connections above it are closed as they come back.",
        {"lane": lane, "size": size},
    )


def _pause(deed: str, values: Mapping[str, str]) -> Wish:
    if values.get("lane") != "background":
        raise InvalidInputError("Only the background lane can be paused: nobody waits for it.")
    if deed == "resume":
        question, consequence = "Let the background lane go on?", "Imports and collections go on where they stand."
    else:
        question = "Pause the background lane?"
        consequence = "Imports and collections wait, and their connections are closed, until you let them go on."
    return Wish(deed, question, consequence, {"lane": "background"})
