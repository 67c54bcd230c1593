"""The app in this process, on a database of its own: made, checked after each test, emptied. Import it in fixtures."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask, has_app_context

from tests.support.accounts import AUTHORS_PASSWORD_HASH
from tests.support.waiting import wait_until, wait_until_returned
from webapp import schema
from webapp.accounts import passwords, users
from webapp.accounts.roles import Role
from webapp.app import create_app
from webapp.attempts.leaderboard_cache import LeaderboardCache
from webapp.extensions import db
from webapp.first_start import FIRST_AUTHOR
from webapp.lab.factories import make_settings
from webapp.quizzes.join_code_cache import JoinCodeCache
from webapp.quizzes.published_cache import PublishedQuizCache
from webapp.quizzes.sample_quiz import add_sample_quiz
from webapp.results.report_cache import ReportCache
from webapp.web import log_config

PATIENT: dict[str, Any] = {"connect_timeout": 30.0, "timeout": 30.0, "request_deadline": 60.0, "codel_target": 0.0}
"""A machine or a disk that stands still for seconds is no fault of what is tested in this process."""


@contextmanager
def app_on(url: str, instance: Path, *, with_routes: bool = True) -> Iterator[Flask]:
    """The app on a database that has its tables; its connections are closed afterwards."""
    app = create_app(make_settings(url, instance, **PATIENT), with_routes=with_routes)
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
        work.run_in_transaction(
            lambda connection: users.add(connection, FIRST_AUTHOR, AUTHORS_PASSWORD_HASH, Role.AUTHOR)
        )
        work.run_in_transaction(add_sample_quiz)


def make_ready_for_tests(app: Flask) -> None:
    app.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
    # What a test has published is seen at once.
    work = app.extensions["pooling"].work
    app.extensions["attempt_service"].quiz_cache = app.extensions["published_cache"] = PublishedQuizCache(
        work.read, ttl=0
    )
    app.extensions["join_codes"] = JoinCodeCache(work.read, app.extensions["published_cache"].catalog_version)
    # The first connection starts the housekeeper's thread, which stays: no test has left it behind.
    with work.read():
        pass


@contextmanager
def lent(app: Flask) -> Iterator[Flask]:
    """Lend the app to a test; after it nothing may be out and the tables are emptied."""
    work = app.extensions["pooling"].work
    # SQLite gives the ids of deleted quizzes and versions again, which never happens outside of tests.
    app.extensions["attempt_service"].leaderboards = LeaderboardCache(work.read, ttl=0)
    app.extensions["report_cache"] = ReportCache(work.read, ttl=0)
    # A few sign-ins in a minute are enough for a worker, not for all tests of a run.
    passwords._turns_of_unknown_devices = passwords._Turns(passwords.RATE)
    before = threading.active_count()
    yield app
    app.extensions["attempt_service"].writer.group_commit.stop()
    log_config.flush_request_log()
    try:
        assert not has_app_context(), "a test left an app context behind"
        wait_until_returned(work.engine.pool)
        wait_until(lambda: threading.active_count() <= before, "a thread was left behind")
    finally:
        with work.transaction() as connection:
            for table in reversed(db.metadata.sorted_tables):
                connection.execute(table.delete())
