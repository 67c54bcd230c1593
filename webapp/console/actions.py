"""Actions of operators from the console, and their audit log: an action that cannot be recorded is not executed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from poolproof.capacity.budget import FleetSize, compute_budget
from poolproof.fleet.agent import master_identity
from poolproof.fleet.commands import CommandError, CommandQueue, CommandResult, not_done
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.console.fleet_view import FleetView, ProcessView, apply_sizes
from webapp.console.models import ConsoleAction
from webapp.console.pool_sentences import budget_sentence
from webapp.db.timestamps import utc_now
from webapp.errors import InvalidInputError, NotFoundError
from webapp.messages import message

log = logging.getLogger(__name__)

RESULT_TIMEOUT = 1.5
"""Seconds to wait for a process to report its result."""
LANES = ("interactive", "background")
MAX_AUDIT_ENTRIES = 100
MAX_POOL_SIZE = 1000


@dataclass(frozen=True)
class ActionRequest:
    """An action to be confirmed: the question, its consequence, and the values of its form."""

    action: str
    question: str
    consequence: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class AuditEntry:
    """A row of the audit log."""

    done_at: datetime
    operator: str
    action: str
    outcome: str


def prepare(view: FleetView, action: str, values: Mapping[str, str], fleet: FleetSize) -> ActionRequest:
    """Check an action, and return it to be confirmed.

    Raises:
        NotFoundError: when the process has ended or the connection was returned.
        InvalidInputError: when it would break the budget, or is not an action.
    """
    if action == "end":
        return _prepare_end(view, values)
    if action == "drain":
        return _prepare_drain(view, values)
    if action == "resize":
        return _prepare_resize(view, values, fleet)
    if action in {"pause", "resume"}:
        return _prepare_pause(action, values)
    raise InvalidInputError(message("There is no action called %(action)s.", action=action))


def execute(work: UnitOfWork, commands: CommandQueue, operator: str, action_request: ActionRequest) -> CommandResult:
    """Record who does what, execute it, and record the outcome; return the outcome.

    Raises:
        SQLAlchemyError: when its start cannot be recorded; then it was not executed.
    """
    entry_id = work.run_in_transaction(lambda connection: _insert_entry(connection, operator, action_request.question))
    try:
        result = _execute(commands, action_request)
    except CommandError as error:
        result = not_done(error)
    try:
        work.run_in_transaction(lambda connection: _update_outcome(connection, entry_id, result.sentence))
    except SQLAlchemyError as error:
        # It was executed, and recorded as started: an error would say that it was not.
        log.warning("The outcome of an action could not be recorded: %s", error)
        sentence = f"{result.sentence} The audit log says only that it was started: the database is unavailable."
        return CommandResult(sentence, is_done=result.is_done)
    return result


def recent_entries(connection: Connection) -> list[AuditEntry]:
    """Return the last actions, the latest first."""
    rows = connection.execute(
        select(ConsoleAction.done_at, ConsoleAction.operator, ConsoleAction.action, ConsoleAction.outcome)
        .order_by(ConsoleAction.id.desc())
        .limit(MAX_AUDIT_ENTRIES)
    )
    return [AuditEntry(*row) for row in rows]


def _insert_entry(connection: Connection, operator: str, question: str) -> int:
    values = {"done_at": utc_now(), "operator": operator, "action": question[:200], "outcome": "started"}
    result = connection.execute(insert(ConsoleAction).values(**values))
    entry_id: int = result.inserted_primary_key[0]  # type: ignore[index]
    return entry_id


def _update_outcome(connection: Connection, entry_id: int, outcome: str) -> None:
    connection.execute(update(ConsoleAction).where(ConsoleAction.id == entry_id).values(outcome=outcome[:500]))


def _execute(commands: CommandQueue, action_request: ActionRequest) -> CommandResult:
    action, values = action_request.action, action_request.values
    if action in {"end", "drain"}:
        return _send_command(commands, action, values)
    if action == "resize":
        sentence = _override_size(commands, values["lane"], int(values["size"]))
    else:
        sentence = _override_paused(commands, values["lane"], is_paused=action == "pause")
    return CommandResult(sentence, is_done=True)


def _send_command(commands: CommandQueue, action: str, values: Mapping[str, str]) -> CommandResult:
    details = {name: int(values[name]) for name in ("connection", "checkout")} if action == "end" else {}
    name = commands.send(values["process"], action, **details)
    result = commands.wait_result(name, RESULT_TIMEOUT)
    unknown = message(
        "The process was sent the command but did not reply within %(seconds)s s.", seconds=format(RESULT_TIMEOUT, "g")
    )
    return result or CommandResult(unknown, is_done=False)


def _override_size(commands: CommandQueue, lane: str, size: int) -> str:
    overrides = commands.overrides(master_identity())
    commands.set_overrides(master_identity(), sizes={**overrides.get("sizes", {}), lane: size})
    return message("Each worker's %(lane)s lane has %(size)s connections now.", lane=lane, size=size)


def _override_paused(commands: CommandQueue, lane: str, *, is_paused: bool) -> str:
    paused = set(commands.overrides(master_identity()).get("paused", ())) - {lane}
    if is_paused:
        paused.add(lane)
    commands.set_overrides(master_identity(), paused=sorted(paused))
    if is_paused:
        return message("The %(lane)s lane of each worker is paused.", lane=lane)
    return message("The %(lane)s lane of each worker is resumed.", lane=lane)


def _find_process(view: FleetView, values: Mapping[str, str]) -> ProcessView:
    for process in view.processes:
        if process.key == values.get("process"):
            return process
    raise NotFoundError("That process has ended.")


def _prepare_end(view: FleetView, values: Mapping[str, str]) -> ActionRequest:
    process = _find_process(view, values)
    for holder in view.holders:
        # By its checkout: the connection may have another holder by now, whom nobody has asked to end.
        if holder.process.key == process.key and str(holder.checkout) == values.get("checkout"):
            return ActionRequest(
                "end",
                message(
                    "End connection %(connection)s of %(process)s, held by %(holder)s?",
                    connection=holder.id,
                    process=process.label,
                    holder=holder.name,
                ),
                message(
                    "Its transaction is rolled back, the request that holds it gets an error, and its slot becomes "
                    "available."
                ),
                {"process": process.key, "connection": str(holder.id), "checkout": str(holder.checkout)},
            )
    raise NotFoundError("That connection is back in its pool already.")


def _prepare_drain(view: FleetView, values: Mapping[str, str]) -> ActionRequest:
    process = _find_process(view, values)
    if process.name != "worker" or not process.is_ours:
        raise InvalidInputError("Only a worker of this service can be drained.")
    return ActionRequest(
        "drain",
        message("Drain %(process)s (process %(pid)s)?", process=process.label, pid=process.pid),
        message(
            "It finishes its requests, closes its connections and ends. The master starts another worker at once, so "
            "for a moment both have connections, as in a reload."
        ),
        {"process": process.key},
    )


def _prepare_resize(view: FleetView, values: Mapping[str, str], fleet: FleetSize) -> ActionRequest:
    lane, size = values.get("lane", ""), values.get("size", "")
    if lane not in LANES or not size.isdecimal() or not 1 <= int(size) <= MAX_POOL_SIZE:
        raise InvalidInputError(
            message(
                "A lane has 1 to %(most)s connections, and is one of: %(lanes)s.",
                most=MAX_POOL_SIZE,
                lanes=", ".join(LANES),
            )
        )
    need = compute_budget(fleet, apply_sizes(view.settings, {lane: int(size)}))
    facts = view.server.facts
    if facts is not None and facts.max_connections and need.total > facts.max_connections - facts.foreign_connections:
        raise InvalidInputError(
            message(
                "That does not fit: %(need)s; max_connections = %(allowed)s − %(foreign)s of others. Choose a smaller "
                "size, or raise max_connections first.",
                need=budget_sentence(need),
                allowed=facts.max_connections,
                foreign=facts.foreign_connections,
            )
        )
    return ActionRequest(
        "resize",
        message("Give each worker's %(lane)s lane %(size)s connections?", lane=lane, size=size),
        message(
            "%(need)s. It lasts until the service restarts. Connections above it are closed as they are returned.",
            need=budget_sentence(need),
        ),
        {"lane": lane, "size": size},
    )


def _prepare_pause(action: str, values: Mapping[str, str]) -> ActionRequest:
    if values.get("lane") != "background":
        raise InvalidInputError("Only the background lane can be paused: no request waits for it.")
    if action == "resume":
        question = message("Resume the background lane?")
        consequence = message("Imports and collections continue where they stopped.")
    else:
        question = message("Pause the background lane?")
        consequence = message("Imports and collections wait, and their connections are closed, until it is resumed.")
    return ActionRequest(action, question, consequence, {"lane": "background"})
