"""Poolproof: a quiz service that survives its own push notification.

The house, floor by floor (an import only goes down):

    cli         the `poolproof` command: each command is loaded when it is called
    serve       from the command to Gunicorn; forking, first_start, database_setup: what happens on the way
    app         create_app: where the parts meet
    routes      what is answered over HTTP, for processes that answer
    lab         measuring and rehearsing; never on the serving path
    schema      the revision of the tables, and migrations
    settings    the environment, read once
    console     what operators ask: the doctor
    results     what authors learn from finished attempts
    collector   questions from other sources, in bulk
    attempts    a player's go: answers, score, board
    quizzes     drafts, published versions, windows
    bank        items, imports, formats
    accounts    users, roles, tokens, sign-in
    web         HTTP manners: problems, OpenAPI, cursors, ETags, headers, health
    extensions  db, migrate, login, csrf
    errors      what may go wrong in the domain
    pooling     the connection layer; knows nothing of the rest
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from webapp.settings import Settings

# What is imported stays until the process ends. By Python's default the collector looks through all of it hundreds of
# times while it is loaded, which took a third of a start, and goes on doing so under load.
gc.set_threshold(20_000, 20, 20)


def create_app(settings: Settings | None = None) -> Flask:
    """Make the app; imports inside, so that naming the package loads nothing (see gunicorn.conf.py)."""
    from webapp.app import create_app as create

    return create(settings)
