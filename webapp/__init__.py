"""Poolproof: a quiz service that survives its own push notification.

The packages and modules, from top to bottom (an import only goes down):

    cli         the `poolproof` command: each command is imported when it is called
    serve       prepares the database and becomes Gunicorn, with forking, cli_errors, first_start and database_setup
    app         create_app: puts the parts together
    routes      everything that is served over HTTP, for processes that answer requests
    lab         measurements and drills; never on the serving path
    schema      the revision of the tables, and migrations, with schema_steps (what they are written with) and
                migration_lease (one process at a time)
    settings    the environment, read once
    console     pages for operators, diagnosis, metrics
    results     statistics of finished attempts, for authors
    collector   collects questions from other sources, in bulk
    attempts    a player's attempt: answers, score, leaderboard
    quizzes     drafts, published versions, windows
    bank        items, imports, formats
    accounts    users, roles, tokens, sign-in
    web         what all features share over HTTP:
                server (the Gunicorn worker) · fast_path · rest (problems, OpenAPI, pagination, ETags, idempotency)
                · security · request context, logs, forms, files, health
    extensions  db, login, csrf
    db          column types, pages of lists, upserts, LOAD DATA, the database's clock
    errors      errors of the domain
    messages    texts for people, which pages translate
    pooling     the connection layer: a distribution of its own, imported as `poolproof`; imports none of the above
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from webapp.settings import Settings

# Imported modules live until the process ends. With Python's default thresholds the garbage collector traverses them
# hundreds of times during the imports, which took a third of a start, and continues to do so under load.
gc.set_threshold(20_000, 20, 20)


def create_app(settings: Settings | None = None) -> Flask:
    """Make the app. It is imported inside, so that importing the package loads nothing (see gunicorn.conf.py)."""
    from webapp.app import create_app as create

    return create(settings)
