"""A start on a database that is not ready: migrations; on the very first start also an account and a quiz.

All of it happens under one lease: of several starts one does it, and the others wait and find it done.
"""

from __future__ import annotations

import click
from sqlalchemy import Connection, make_url

from poolproof.integrations.flask_ext import read, run_in_transaction
from webapp import schema
from webapp.accounts import passwords, users
from webapp.accounts.roles import Role
from webapp.app import create_app
from webapp.bank import items
from webapp.migration_lease.hold import hold
from webapp.migration_lease.lease import Lease
from webapp.quizzes.sample_quiz import add_sample_quiz
from webapp.settings import Settings

FIRST_AUTHOR = "author"


def set_up(settings: Settings) -> None:
    """Bring the tables up to date; where there is no account, create one, and in an empty bank the sample quiz.

    Raises:
        MigrationError: when that cannot be done now; what was done stays, and the next start continues.
    """
    app = create_app(settings, with_routes=False)
    with hold(make_url(settings.database_url), settings.pool) as lease:
        schema.upgrade(app, lease=lease)
        with app.app_context():
            _create_first_account(lease)


def _create_first_account(lease: Lease) -> None:
    with read() as connection:
        if not users.has_no_users(connection):
            return
    password = passwords.random_password()
    hashed = passwords.hash_password(password)

    def create(connection: Connection) -> None:
        lease.lock(connection)
        users.add(connection, FIRST_AUTHOR, hashed, Role.AUTHOR)
        # The users may have been removed from an installation that has been in use.
        if items.has_no_items(connection):
            add_sample_quiz(connection)
        # Before the commit: an account is never there without its password having been shown.
        click.echo(
            f"\nWelcome. An author account is made; this is shown once:\n"
            f"    name      {FIRST_AUTHOR}\n    password  {password}\n"
        )

    # One transaction: a start that is killed leaves all of it or nothing.
    run_in_transaction(create)
