"""`python -m poolproof`: what an application of its own needs, without any service of ours."""

from __future__ import annotations

import click

from poolproof.lab.lazy_group import LazyCommand, LazyGroup

LAB_EXTRA = "poolproof[lab]"
ROOM = "poolproof.lab"
LAB_COMMANDS = {
    "compare": LazyCommand(f"{ROOM}.reporting.commands", "compare", "Put two reports side by side on one page."),
    "drill": LazyCommand(
        f"{ROOM}.drills.commands",
        "command",
        "Rehearse faults on your database, at both pools.",
    ),
    "incident": LazyCommand(
        f"{ROOM}.incident.commands", "command", "See the same threads at SQLAlchemy's pool and at the fair one."
    ),
    "load": LazyCommand(
        f"{ROOM}.scenario.commands",
        "command",
        "Load an application over HTTP, and say what it needs.",
    ),
    "reports": LazyCommand(f"{ROOM}.reporting.commands", "reports", "List the stored reports, newest first."),
    "size": LazyCommand(
        f"{ROOM}.sizing.commands", "command", "Find the right pool size for your statements on your database."
    ),
}
COMMANDS = {
    "doctor": LazyCommand(f"{ROOM}.doctor", "command", "Check whether the pools of all processes fit the server."),
    "lab": LazyCommand(f"{ROOM}.commands", "lab", "Find the right pool size, load an application, see the incident."),
}


@click.group(cls=LazyGroup, lazy_commands=COMMANDS, program="python -m poolproof", extra=LAB_EXTRA)
def program() -> None:
    """Poolproof in an application of your own: the doctor of its pools, and the lab."""


@click.group(cls=LazyGroup, lazy_commands=LAB_COMMANDS, program="python -m poolproof lab", extra=LAB_EXTRA)
def lab() -> None:
    """Find the right pool size, load an application, see the incident.

    It needs an extra: pip install poolproof[lab]
    """
