"""Poolproof: a quiz service that survives its own push notification.

The house, floor by floor (an import only goes down):

    app         create_app: where the parts meet
    cli         the `poolproof` command
    settings    the environment, read once
    console     what operators ask: the doctor
    results     what authors learn from finished attempts
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

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from webapp.settings import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """Make the app; imports inside, so that naming the package loads nothing (see gunicorn.conf.py)."""
    from webapp.app import create_app as create

    return create(settings)
