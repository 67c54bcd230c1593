"""`poolproof lab`: the table of its commands. Each is imported when it is called; some need libraries of an extra."""

from __future__ import annotations

import click

from poolproof.lab.lazy_group import LazyCommand, LazyGroup

LAZY_COMMANDS = {
    "compare": LazyCommand("webapp.lab.reporting.commands", "compare", "Put two reports side by side on one page."),
    "drill": LazyCommand(
        "webapp.lab.drills.commands", "command", "Rehearse outages on servers that the lab starts itself."
    ),
    "incident": LazyCommand(
        "webapp.lab.incident.commands", "command", "Push at Flask-SQLAlchemy with its defaults, then at Poolproof."
    ),
    "push": LazyCommand("webapp.lab.push.commands", "command", "Let many people play one quiz at the same time."),
    "reports": LazyCommand("webapp.lab.reporting.commands", "reports", "List the stored reports, newest first."),
    "size": LazyCommand(
        "webapp.lab.sizing.commands", "command", "Find the right number of workers, threads and connections."
    ),
    "strategies": LazyCommand("webapp.lab.pools.commands", "command", "Do the same work with each kind of pool."),
}


@click.group(cls=LazyGroup, lazy_commands=LAZY_COMMANDS, program="poolproof lab", extra="poolproof-quiz[lab]")
def lab() -> None:
    """Rehearse a push, an incident and outages, and find the right size.

    Commands other than push, reports and compare need an extra:

    pip install poolproof-quiz[lab]
    """
