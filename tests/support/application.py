"""The app in this process, on a database of its own: made, checked after each test, emptied. Import it in fixtures."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask, has_app_context

from tests.support.accounts import AUTHORS_PASSWORD_HASH
from tests.support.waiting import wait_until
from webapp import schema
from webapp.accounts import users
from webapp.accounts.roles import Role
from webapp.app import create_app
from webapp.attempts.board import Boards
from webapp.extensions import db
from webapp.first_start import FIRST_AUTHOR
from webapp.lab.factories import settings_for
from webapp.quizzes.shelf import Shelf
from webapp.quizzes.starter import add_starter_quiz
from webapp.web import logs

PATIENT: dict[str, Any] = {"connect_timeout": 30.0, "timeout": 30.0, "deadline": 60.0, "shed_target": 0.0}
"""A machine or a disk that stands still for seconds is no fault of what is tested in this process."""


@contextmanager
def app_on(url: str, instance: Path, *, with_routes: bool = True) -> Iterator[Flask]:
    """The app on a database that has its tables; its connections are closed afterwards."""
    app = create_app(settings_for(url, instance, **PATIENT), with_routes=with_routes)
    try:
        yield app
    finally:
        for lane in app.extensions["pooling"].lanes:
            lane.engine.dispose()


def migrate(url: str, instance: Path) -> None:
    """Make the tables."""
    with app_on(url, instance, with_routes=False) as app:
        schema.upgrade(app)


def prepare(url: str, instance: Path) -> None:
    """Do what the first start of a service does in a database with its tables; the author's password is a known one."""
    with app_on(url, instance, with_routes=False) as app:
        work = app.extensions["pooling"].work
        work.transact(lambda connection: users.add(connection, FIRST_AUTHOR, AUTHORS_PASSWORD_HASH, Role.AUTHOR))
        work.transact(add_starter_quiz)


def make_ready_for_tests(app: Flask) -> None:
    app.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
    # What a test has published is seen at once.
    work = app.extensions["pooling"].work
    app.extensions["playing"].shelf = app.extensions["shelf"] = Shelf(work.read, seconds=0)
    # The first connection starts the housekeeper's thread, which stays: no test has left it behind.
    with work.read():
        pass


@contextmanager
def lent(app: Flask) -> Iterator[Flask]:
    """Lend the app to a test; after it nothing may be out and the tables are emptied."""
    work = app.extensions["pooling"].work
    # SQLite gives the ids of deleted versions again, which never happens outside of tests.
    app.extensions["playing"].boards = Boards(work.read, seconds=0)
    before = threading.active_count()
    yield app
    app.extensions["playing"].writer.group.stop()
    logs.write_what_is_left()
    try:
        assert not has_app_context(), "a test left an app context behind"
        # The housekeeper borrows a connection for a moment when it pings; what a test has kept never comes back.
        wait_until(lambda: work.engine.pool.checkedout() == 0, "a connection was not given back")
        wait_until(lambda: threading.active_count() <= before, "a thread was left behind")
    finally:
        with work.transaction() as connection:
            for table in reversed(db.metadata.sorted_tables):
                connection.execute(table.delete())
