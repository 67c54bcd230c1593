"""What operators may do from the console, and the record of it: written before it is done, or it is not done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from poolproof.capacity.budget import FleetSize, compute_budget
from poolproof.fleet.agent import master_identity
from poolproof.fleet.commands import CommandError, CommandQueue
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.console.fleet_view import FleetView, ProcessView, apply_sizes
from webapp.console.models import ConsoleAction
from webapp.db.timestamps import utc_now
from webapp.errors import InvalidInputError, NotFoundError

RESULT_TIMEOUT = 1.5
"""Seconds to wait for a process to say what it has done."""
LANES = ("interactive", "background")
MAX_AUDIT_ENTRIES = 100
MAX_POOL_SIZE = 1000


@dataclass(frozen=True)
class ActionRequest:
    """A deed that was asked for and not yet confirmed: in words, what follows, and its own values."""

    action: str
    question: str
    consequence: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class AuditEntry:
    """A row of the record."""

    done_at: datetime
    operator: str
    action: str
    outcome: str


def prepare(view: FleetView, action: str, values: Mapping[str, str], fleet: FleetSize) -> ActionRequest:
    """Check what was asked for; return it in words.

    Raises:
        NotFoundError: when the process is gone or the connection is back.
        InvalidInputError: when it would break the budget, or is not a deed.
    """
    if action == "end":
        return _prepare_end(view, values)
    if action == "drain":
        return _prepare_drain(view, values)
    if action == "resize":
        return _prepare_resize(view, values, fleet)
    if action in {"pause", "resume"}:
        return _prepare_pause(action, values)
    raise InvalidInputError(f"There is no deed called {action}.")


def execute(work: UnitOfWork, commands: CommandQueue, operator: str, action_request: ActionRequest) -> str:
    """Write down who does what, do it, and write down what came of it; return that.

    Raises:
        SQLAlchemyError: when it cannot be written down; then nothing was done.
    """
    number = work.run_in_transaction(lambda connection: _insert_entry(connection, operator, action_request.question))
    try:
        outcome = _execute(commands, action_request)
    except CommandError as error:
        outcome = f"Not done: {error}"
    work.run_in_transaction(lambda connection: _update_outcome(connection, number, outcome))
    return outcome


def recent_entries(connection: Connection) -> list[AuditEntry]:
    """Return the last deeds, the latest first."""
    found = connection.execute(
        select(ConsoleAction.done_at, ConsoleAction.operator, ConsoleAction.action, ConsoleAction.outcome)
        .order_by(ConsoleAction.id.desc())
        .limit(MAX_AUDIT_ENTRIES)
    )
    return [AuditEntry(*row) for row in found]


def _insert_entry(connection: Connection, operator: str, question: str) -> int:
    values = {"done_at": utc_now(), "operator": operator, "action": question[:200], "outcome": "begun"}
    result = connection.execute(insert(ConsoleAction).values(**values))
    number: int = result.inserted_primary_key[0]  # type: ignore[index]
    return number


def _update_outcome(connection: Connection, number: int, outcome: str) -> None:
    connection.execute(update(ConsoleAction).where(ConsoleAction.id == number).values(outcome=outcome[:500]))


def _execute(commands: CommandQueue, action_request: ActionRequest) -> str:
    values = action_request.values
    if action_request.action in {"end", "drain"}:
        is_end = action_request.action == "end"
        details = {"connection": int(values["connection"]), "since": float(values["since"])} if is_end else {}
        name = commands.send(values["process"], action_request.action, **details)
        said = commands.wait_result(name, RESULT_TIMEOUT)
        return said or f"The process has been asked, and has not answered within {RESULT_TIMEOUT:g} s."
    standing = commands.overrides(master_identity())
    if action_request.action == "resize":
        sizes = {**standing.get("sizes", {}), values["lane"]: int(values["size"])}
        commands.set_overrides(master_identity(), sizes=sizes)
        return f"Each worker's {values['lane']} lane has {values['size']} connections now."
    paused = set(standing.get("paused", ())) - {values["lane"]}
    if action_request.action == "pause":
        paused.add(values["lane"])
    commands.set_overrides(master_identity(), paused=sorted(paused))
    return f"The {values['lane']} lane of each worker {'is paused' if action_request.action == 'pause' else 'goes on'}."


def _find_process(view: FleetView, values: Mapping[str, str]) -> ProcessView:
    for one in view.processes:
        if one.key == values.get("process"):
            return one
    raise NotFoundError("That process has ended.")


def _prepare_end(view: FleetView, values: Mapping[str, str]) -> ActionRequest:
    process = _find_process(view, values)
    for one in view.holders:
        is_the_one = one.process.key == process.key and str(one.id) == values.get("connection")
        if is_the_one and values.get("since", f"{one.since:.6f}") == f"{one.since:.6f}":
            return ActionRequest(
                "end",
                f"End connection {one.id} of {process.label}, held by {one.name}?",
                "Its transaction is rolled back, the request that holds it gets an error, and its place is free for "
                "the next.",
                {"process": process.key, "connection": str(one.id), "since": f"{one.since:.6f}"},
            )
    raise NotFoundError("That connection is back in its pool already.")


def _prepare_drain(view: FleetView, values: Mapping[str, str]) -> ActionRequest:
    process = _find_process(view, values)
    if process.name != "worker" or not process.is_ours:
        raise InvalidInputError("Only a worker of this service can be drained.")
    return ActionRequest(
        "drain",
        f"Drain {process.label} (process {process.pid})?",
        "It finishes its requests, closes its connections and ends. The master starts another worker at once, so for a "
        "moment both have connections, as in a reload.",
        {"process": process.key},
    )


def _prepare_resize(view: FleetView, values: Mapping[str, str], fleet: FleetSize) -> ActionRequest:
    lane, size = values.get("lane", ""), values.get("size", "")
    if lane not in LANES or not size.isdecimal() or not 1 <= int(size) <= MAX_POOL_SIZE:
        raise InvalidInputError(f"A lane has 1 to {MAX_POOL_SIZE} connections, and is one of: {', '.join(LANES)}.")
    need = compute_budget(fleet, apply_sizes(view.settings, {lane: int(size)}))
    facts = view.server.facts
    if facts is not None and facts.max_connections and need.total > facts.max_connections - facts.foreign_connections:
        raise InvalidInputError(
            f"That does not fit: {need}; max_connections = {facts.max_connections} − {facts.foreign_connections} of others. "
            "Take a smaller size, or raise max_connections first."
        )
    return ActionRequest(
        "resize",
        f"Give each worker's {lane} lane {size} connections?",
        f"{need}. It lasts until the service starts anew. Connections above it are closed as they come back.",
        {"lane": lane, "size": size},
    )


def _prepare_pause(action: str, values: Mapping[str, str]) -> ActionRequest:
    if values.get("lane") != "background":
        raise InvalidInputError("Only the background lane can be paused: nobody waits for it.")
    if action == "resume":
        question, consequence = "Let the background lane go on?", "Imports and collections go on where they stand."
    else:
        question = "Pause the background lane?"
        consequence = "Imports and collections wait, and their connections are closed, until you let them go on."
    return ActionRequest(action, question, consequence, {"lane": "background"})
